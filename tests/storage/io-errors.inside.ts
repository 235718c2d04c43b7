/** A repository whose disk breaks: an error that says so, never wrong bytes, and everything works after the repair. */

import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Disk } from '../../conformance/guest/disk.ts'
import { type AgentVm, EXAMPLE_VM_ID } from '../support/agent-repository.ts'
import { pullDisk } from '../support/ancestor-client.ts'
import type { RemoteSnapshot } from '../support/api-client.ts'
import { command } from '../support/command.ts'
import { type Lab, openLab } from '../support/lab.ts'
import { snapshotFolders } from '../support/snapshot-folders.ts'
import { type FailingDisk, failingDisk } from '../vm/inside/failing-disk.ts'
import { unmount } from '../vm/inside/unmount.ts'

const MIB = 1024 * 1024
const MOUNT = '/mnt/diskferry/failing'
const VM: AgentVm = {
  id: EXAMPLE_VM_ID,
  friendlyName: 'failing',
  disks: [{ name: 'disk.img', deviceName: 'xvda', size: 16 * MIB }],
}
const SNAPSHOTS = `/api/v1/vms/${VM.id}/snapshots`

for (const { filesystem, mkfs, mountOptions } of [
  { filesystem: 'xfs', mkfs: ['mkfs.xfs', '-q', '-f'], mountOptions: 'rw' },
  // Inline and compressed extents are compared by content, so a difference reads the disk.
  { filesystem: 'btrfs', mkfs: ['mkfs.btrfs', '--quiet', '--force'], mountOptions: 'compress-force=zstd' },
] as const) {
  test(`${filesystem}: a disk that breaks gives errors and no wrong byte, and is used again when it is mended`, {
    timeout: 300_000,
  }, async (t) => {
    await using device = await failingDisk()
    const [program, ...options] = mkfs
    await command(program, [...options, device.device])
    await using mounted = await mountFailing(['-t', filesystem, '-o', mountOptions], device)
    await using lab = await openLab({ mountPoint: MOUNT })
    const disk = new Disk((await lab.addVm(VM)).get('disk.img')!)
    await disk.fill(0, 16 * MIB, 1)
    const first = await lab.client.createSnapshot(VM.id)
    await disk.fill(4 * MIB + 5, MIB, 2)
    const second = await lab.client.createSnapshot(VM.id)
    const content = await readFile(disk.path)

    await mounted.break()
    const failures = {
      map: await failure(lab, 'GET', `${SNAPSHOTS}/${second.id}`),
      difference: await failure(lab, 'GET', `${SNAPSHOTS}/${second.id}?compareTo=${first.id}`),
      create: await failure(lab, 'POST', SNAPSHOTS),
    }
    for (const [what, said] of Object.entries(failures)) t.diagnostic(`${filesystem}, ${what}: ${said}`)
    assert.doesNotMatch(failures.create, /VM_NOT_FOUND/, 'a machine that cannot be seen was not deleted')
    await assertNoWrongBytes(lab, second, content)
    const { statusCode, body } = await lab.client.call('GET', '/healthz')
    assert.equal(statusCode, 200, await body.text())

    await mounted.repair()
    const file = join(lab.local, 'copy')
    const whole = await lab.client.snapshot(VM.id, first.id)
    await pullDisk(lab.client, whole, whole.disks[0]!, file, 'new')
    const changed = await lab.client.snapshot(VM.id, second.id, first.id)
    await pullDisk(lab.client, changed, changed.disks[0]!, file, 'new')
    assert.ok((await readFile(file)).equals(content))
    const third = await lab.client.createSnapshot(VM.id)
    for (const { id } of [first, second, third]) await lab.client.deleteSnapshot(VM.id, id)
    assert.deepEqual(await snapshotFolders(MOUNT), [])
  })
}

interface Mounted extends AsyncDisposable {
  /** Nothing that was read before is remembered. */
  break(): Promise<void>
  /** As after a reboot of the storage: a filesystem that met errors has to be mounted anew. */
  repair(): Promise<void>
}

async function mountFailing(options: readonly string[], device: FailingDisk): Promise<Mounted> {
  await mkdir(MOUNT, { recursive: true })
  const mount = () => command('mount', [...options, device.device, MOUNT])
  await mount()
  return {
    async break() {
      await command('sync', ['-f', MOUNT])
      await writeFile('/proc/sys/vm/drop_caches', '3')
      await device.fail()
    },
    async repair() {
      await device.heal()
      await command('umount', [MOUNT])
      await mount()
    },
    [Symbol.asyncDispose]: () => unmount(MOUNT),
  }
}

/** @returns status and code */
async function failure(lab: Lab, method: 'GET' | 'POST', path: string): Promise<string> {
  const { statusCode, body } = await lab.client.call(method, path)
  const text = await body.text()
  if (statusCode === 200) return 'answered'
  const { code, details } = JSON.parse(text) as { readonly code: string; readonly details: string }
  if (statusCode >= 500)
    assert.ok(!details.includes(MOUNT), `${method} ${path} names a path of the host: ${text}`)
  return `${statusCode} ${code}`
}

/** A download may be answered from what the kernel still holds, or break off. What arrives is right. */
async function assertNoWrongBytes(lab: Lab, snapshot: RemoteSnapshot, content: Buffer): Promise<void> {
  const url = `${SNAPSHOTS}/${snapshot.id}/disks/disk.img`
  let arrived = 0
  let broken = false
  try {
    const { statusCode, body } = await lab.client.call('GET', url)
    if (statusCode !== 200) {
      await body.dump()
      return
    }
    for await (const piece of body as AsyncIterable<Buffer>) {
      assert.ok(piece.equals(content.subarray(arrived, arrived + piece.length)), `wrong bytes at ${arrived}`)
      arrived += piece.length
    }
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error
    broken = true
  }
  assert.ok(broken || arrived === content.length, `the download ended in silence after ${arrived} bytes`)
}
