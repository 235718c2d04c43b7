/** A repository whose disk breaks: an error that says so, never wrong bytes, and everything works after the repair. */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Disk } from '../../conformance/guest/disk.ts'
import { type AgentVm, EXAMPLE_VM_ID } from '../support/agent-repository.ts'
import { pullDisk } from '../support/ancestor-client.ts'
import type { RemoteSnapshot } from '../support/api-client.ts'
import { type HookHold, hookHold } from '../support/hook-hold.ts'
import { type Lab, openLab } from '../support/lab.ts'
import { snapshotFolders } from '../support/snapshot-folders.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { FAILING_FILESYSTEMS, type FailingMount, failingMount } from '../vm/inside/failing-mount.ts'

const MIB = 1024 * 1024
const MOUNT = '/mnt/diskferry/failing'
const VM: AgentVm = {
  id: EXAMPLE_VM_ID,
  friendlyName: 'failing',
  disks: [
    { name: 'system.img', deviceName: 'xvda', size: MIB },
    { name: 'data.img', deviceName: 'xvdb', size: 16 * MIB },
  ],
}
const SNAPSHOTS = `/api/v1/vms/${VM.id}/snapshots`

/** A server, a disk of a VM on the filesystem that breaks, and an older state of that disk with the client. */
interface Scene {
  readonly t: TestContext
  readonly mounted: FailingMount
  readonly lab: Lab
  readonly hold: HookHold
  readonly disk: Disk
  /** What the client has fetched. */
  readonly copy: string
}

for (const failing of FAILING_FILESYSTEMS) {
  test(`${failing.filesystem}: a disk that breaks gives errors and no wrong byte, and is used again when it is mended`, {
    timeout: 300_000,
  }, async (t) => {
    await using folder = await temporaryDirectory('hooks')
    await using mounted = await failingMount(failing, MOUNT)
    const hold = await hookHold(folder.path)
    await using lab = await openLab({ mountPoint: MOUNT, extraConfig: hold.config })
    const paths = await lab.addVm(VM)
    for (const path of paths.values()) await new Disk(path).fill(0, MIB, 1)
    const disk = new Disk(paths.get('data.img')!)
    const scene = { t, mounted, lab, hold, disk, copy: join(lab.local, 'copy') }

    await disk.fill(0, 16 * MIB, 2)
    const first = await lab.client.createSnapshot(VM.id)
    await pull(scene, first)
    const second = await breakBetweenRequests(scene, first)
    const third = await breakWhileCloning(scene, second, false)
    const fourth = await breakWhileCloning(scene, third, true)
    for (const { id } of [first, second, third, fourth]) await lab.client.deleteSnapshot(VM.id, id)
    assert.deepEqual(await snapshotFolders(MOUNT), [])
  })
}

/** Whatever is asked for fails clearly, and works after the repair. @returns a snapshot that the client has then */
async function breakBetweenRequests(scene: Scene, first: RemoteSnapshot): Promise<RemoteSnapshot> {
  const { t, lab, mounted, disk } = scene
  await disk.fill(4 * MIB + 5, MIB, 3)
  const second = await lab.client.createSnapshot(VM.id)
  const content = await readFile(disk.path)

  await mounted.break({ forgetting: true })
  const failures = {
    map: await failure(lab, 'GET', `${SNAPSHOTS}/${second.id}`),
    difference: await failure(lab, 'GET', `${SNAPSHOTS}/${second.id}?compareTo=${first.id}`),
    create: await failure(lab, 'POST', SNAPSHOTS),
  }
  for (const [what, said] of Object.entries(failures)) t.diagnostic(`${what}: ${said}`)
  // A VM that can't be seen was not deleted, which VM_NOT_FOUND would mean.
  assert.match(failures.create, /^503 INVENTORY_UNREADABLE|^400 VM_NOT_COMPATIBLE.*look into the kernel log/)
  await assertNoWrongBytes(lab, second, content)
  const { statusCode, body } = await lab.client.call('GET', '/healthz')
  assert.equal(statusCode, 200, await body.text())

  await mounted.repair()
  await pull(scene, second, first)
  return second
}

/**
 * Everything was checked, and the guest is being brought to rest: then the disk breaks, before the first clone.
 *
 * @param forgetting whether even reading fails, or only writing
 * @returns a snapshot that the client has then
 */
async function breakWhileCloning(
  scene: Scene,
  base: RemoteSnapshot,
  forgetting: boolean,
): Promise<RemoteSnapshot> {
  const { t, lab, mounted, disk, hold } = scene
  const before = await snapshotFolders(MOUNT)
  await disk.fill(8 * MIB + 5, MIB, forgetting ? 5 : 4)
  await using held = await hold.next()
  const creating = failure(lab, 'POST', SNAPSHOTS)
  await held.reached()
  await mounted.break({ forgetting })
  await held.release()
  const said = await creating
  t.diagnostic(`clone, when ${forgetting ? 'nothing can be read' : 'only writing fails'}: ${said}`)
  assert.match(said, /^500 CLONE_FAILED/)
  const [, requestId] = /request id ([0-9a-f-]+)/.exec(said)!
  const { err } = await lab.server.logged(
    (line) => line['requestId'] === requestId && line['err'] !== undefined,
  )
  const { message } = err as Error
  t.diagnostic(message)
  assert.match(message, /'\/mnt.*\.img'.*look into the kernel log/, 'the log names the file and what to do')
  const { statusCode, body } = await lab.client.call('GET', '/healthz')
  assert.equal(statusCode, 200, await body.text())

  await mounted.repair()
  const snapshot = await lab.client.createSnapshot(VM.id)
  assert.deepEqual(await snapshotFolders(MOUNT), [...before, snapshot.id].sort(), 'what failed is gone')
  await pull(scene, snapshot, base)
  return snapshot
}

/** Fetches a whole snapshot, or what has changed since the one that the client has. */
async function pull(
  { lab, disk, copy }: Scene,
  { id }: RemoteSnapshot,
  base?: RemoteSnapshot,
): Promise<void> {
  const snapshot = await lab.client.snapshot(VM.id, id, base?.id)
  const wanted = snapshot.disks.find(({ name }) => name === 'data.img')!
  await pullDisk(lab.client, snapshot, wanted, copy, 'new')
  assert.ok((await readFile(copy)).equals(await readFile(disk.path)), `snapshot ${id} was fetched wrong`)
}

/** @returns status, code and details */
async function failure(lab: Lab, method: 'GET' | 'POST', path: string): Promise<string> {
  const { statusCode, body } = await lab.client.call(method, path)
  const text = await body.text()
  if (statusCode === 200) return 'answered'
  const { code, details } = JSON.parse(text) as { readonly code: string; readonly details: string }
  if (statusCode >= 500)
    assert.ok(!details.includes(MOUNT), `${method} ${path} names a path of the host: ${text}`)
  assert.doesNotMatch(text, /\/proc\/\d/, 'a descriptor says nothing to a person')
  return `${statusCode} ${code}: ${details}`
}

/** A download may be answered from what the kernel still holds, or break off. What arrives is right. */
async function assertNoWrongBytes(lab: Lab, snapshot: RemoteSnapshot, content: Buffer): Promise<void> {
  const url = `${SNAPSHOTS}/${snapshot.id}/disks/data.img`
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
