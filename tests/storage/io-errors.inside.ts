/** A repository whose disk breaks: an error that says so, never wrong bytes, and everything works after the repair. */

import assert from 'node:assert/strict'
import { open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Disk } from '../../conformance/guest/disk.ts'
import { SNAPSHOTS_FOLDER } from '../../core/repositories/paths.ts'
import { STAMP_FILE } from '../../core/repositories/repository-stamp.ts'
import { MANIFEST_NAME } from '../../core/snapshots/snapshot-manifest.ts'
import { type AgentVm, EXAMPLE_VM_ID } from '../support/agent-repository.ts'
import { pullDisk } from '../support/ancestor-client.ts'
import type { RemoteSnapshot } from '../support/api-client.ts'
import { type HookHold, hookHold } from '../support/hook-hold.ts'
import { type Lab, openLab } from '../support/lab.ts'
import { snapshotFolders } from '../support/snapshot-folders.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { FAILING_FILESYSTEMS, type FailingMount, failingMount } from '../vm/inside/failing-mount.ts'
import { eventually, RECOVERY_MS } from './silent-lab.ts'

const KIB = 1024
const MIB = 1024 * KIB
/** More than sockets and streams hold: most of it is read from the disk after the first bytes have arrived. */
const DISK_BYTES = 32 * MIB
const MOUNT = '/mnt/diskferry/failing'
const VM: AgentVm = {
  id: EXAMPLE_VM_ID,
  friendlyName: 'failing',
  disks: [
    { name: 'system.img', deviceName: 'xvda', size: MIB },
    { name: 'data.img', deviceName: 'xvdb', size: DISK_BYTES },
  ],
}
const SNAPSHOTS = `/api/v1/vms/${VM.id}/snapshots`

/** OCFS2 reads the disk to say how much space it has, which every mount is asked before it is used. */
const SILENT = '503 REPOSITORY_NOT_RESPONDING'

/** The log names the file and what to do. */
const MESSAGE = /'\/mnt.*\.img'.*look into the kernel log/
/** OCFS2 says of a name that it can't read that there is none; a later question finds out. */
const OCFS2_MESSAGE =
  /'\/mnt.*\.img'.*(look into the kernel log|ENOENT.*; try again)|'\/mnt.*' \(ocfs2, .* does not answer: EIO/

/** A server, a disk of a VM on the filesystem that breaks, and an older state of that disk with the client. */
interface Scene {
  readonly t: TestContext
  readonly filesystem: string
  readonly mounted: FailingMount
  readonly lab: Lab
  readonly hold: HookHold
  readonly disk: Disk
  /** What the client has fetched. */
  readonly copy: string
}

for (const failing of FAILING_FILESYSTEMS) {
  test(`${failing.filesystem}: a disk that breaks gives errors and no wrong byte, and is used again when it is mended`, {
    timeout: 600_000,
  }, async (t) => {
    await using folder = await temporaryDirectory('hooks')
    await using mounted = await failingMount(failing, MOUNT)
    const hold = await hookHold(folder.path)
    await using lab = await openLab({ mountPoint: MOUNT, extraConfig: `[quiesce]\n${hold.config}` })
    const paths = await lab.addVm(VM)
    for (const path of paths.values()) await new Disk(path).fill(0, MIB, 1)
    const disk = new Disk(paths.get('data.img')!)
    const scene = {
      t,
      filesystem: failing.filesystem,
      mounted,
      lab,
      hold,
      disk,
      copy: join(lab.local, 'copy'),
    }

    await disk.fill(0, DISK_BYTES, 2)
    const first = await lab.client.createSnapshot(VM.id)
    await pull(scene, first)
    const second = await breakBetweenRequests(scene, first)
    await breakDuringDownload(scene, second)
    const third = await breakWhileCloning(scene, second, false)
    const fourth = await breakWhileCloning(scene, third, true)
    for (const { id } of [first, second, third, fourth]) await lab.client.deleteSnapshot(VM.id, id)
    assert.deepEqual(await snapshotFolders(MOUNT), [])
  })
}

/** Whatever is asked for fails clearly, and works after the repair. @returns a snapshot that the client has then */
async function breakBetweenRequests(scene: Scene, first: RemoteSnapshot): Promise<RemoteSnapshot> {
  const { t, lab, mounted, disk } = scene
  await fragment(disk)
  await disk.fill(4 * MIB + 5, MIB, 3)
  const second = await lab.client.createSnapshot(VM.id)
  const content = await readFile(disk.path)

  await mounted.remount()
  await rememberAllButDisks([first, second])
  await mounted.break({ forgetting: false })
  const failures = {
    map: await failure(lab, 'GET', `${SNAPSHOTS}/${second.id}`),
    difference: await failure(lab, 'GET', `${SNAPSHOTS}/${second.id}?compareTo=${first.id}`),
    create: await failure(lab, 'POST', SNAPSHOTS),
  }
  for (const [what, said] of Object.entries(failures)) t.diagnostic(`${what}: ${said}`)
  const silent = scene.filesystem === 'ocfs2' ? [SILENT] : []
  assert.match(failures.map, anyOf('500 MAP_FAILED', ...silent), 'only the broken disk knows it')
  assert.match(failures.difference, anyOf('500 DIFF_FAILED', ...silent), 'only the broken disk knows it')
  // A VM that can't be seen was not deleted, which VM_NOT_FOUND would mean.
  const incompatible = '400 VM_NOT_COMPATIBLE.*look into the kernel log'
  // The filesystem may have noticed already, and be read-only since.
  const readOnly = '503 REPOSITORY_READ_ONLY'
  assert.match(failures.create, anyOf('503 INVENTORY_UNREADABLE', incompatible, readOnly, SILENT))
  const download = await fetchChecked(lab, second, content)
  t.diagnostic(`download: ${download}`)
  assert.notEqual(download, 'whole')
  const { statusCode, body } = await lab.client.call('GET', '/healthz')
  assert.equal(statusCode, 200, await body.text())

  await repair(scene)
  await pull(scene, second, first)
  return second
}

/**
 * Has the kernel hold whatever tells that snapshots are whole, and the names and inodes of their disks: what fails is the
 * reading of extents and bytes.
 */
async function rememberAllButDisks(snapshots: readonly RemoteSnapshot[]): Promise<void> {
  await readFile(join(MOUNT, SNAPSHOTS_FOLDER, STAMP_FILE))
  for (const { id, disks } of snapshots) {
    await readFile(join(MOUNT, SNAPSHOTS_FOLDER, id, MANIFEST_NAME))
    for (const { path } of disks) await stat(path)
  }
}

/** A download whose disk breaks after its first bytes ends as one that was broken off, after nothing but right bytes. */
async function breakDuringDownload(scene: Scene, { id }: RemoteSnapshot): Promise<void> {
  const { t, lab, mounted, disk } = scene
  const content = await readFile(disk.path)
  await mounted.remount()
  const arrived = await fetchChecked(lab, { id }, content, () => mounted.break({ forgetting: true }))
  t.diagnostic(`download that was under way: ${arrived}`)
  assert.match(arrived, /^broken off after [1-9]/)
  await repair(scene)
}

/** Gives it so many extents that no node of the filesystem that is held for other reasons has them all. */
async function fragment(disk: Disk): Promise<void> {
  await using handle = await open(disk.path, 'r+')
  const block = Buffer.alloc(4 * KIB, 9)
  for (let start = 0; start < DISK_BYTES; start += 16 * KIB) await handle.write(block, 0, block.length, start)
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
  // The filesystem may have noticed before the clone, and be read-only since.
  assert.match(said, anyOf('500 CLONE_FAILED', '503 REPOSITORY_READ_ONLY', SILENT))
  const [, requestId] = /request id ([0-9a-f-]+)/.exec(said)!
  const { err } = await lab.server.logged(
    (line) => line['requestId'] === requestId && line['err'] !== undefined,
  )
  const { message } = err as Error
  t.diagnostic(message)
  assert.match(message, scene.filesystem === 'ocfs2' ? OCFS2_MESSAGE : MESSAGE)
  const { statusCode, body } = await lab.client.call('GET', '/healthz')
  assert.equal(statusCode, 200, await body.text())

  await repair(scene)
  const snapshot = await lab.client.createSnapshot(VM.id)
  assert.deepEqual(await snapshotFolders(MOUNT), [...before, snapshot.id].sort(), 'what failed is gone')
  await pull(scene, snapshot, base)
  return snapshot
}

/** A repository that was taken for silent is used again a moment after. */
async function repair({ mounted, lab }: Scene): Promise<void> {
  await mounted.repair()
  await eventually(async () => {
    const { statusCode, body } = await lab.client.call('GET', SNAPSHOTS)
    assert.equal(statusCode, 200, await body.text())
  }, RECOVERY_MS)
}

function anyOf(...beginnings: readonly string[]): RegExp {
  return new RegExp(`^(${beginnings.join('|')})`)
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

/**
 * Downloads the disk, and compares every byte that comes.
 *
 * @param afterFirst done when the first bytes have come
 * @returns `whole`, or how it failed
 */
async function fetchChecked(
  lab: Lab,
  { id }: Pick<RemoteSnapshot, 'id'>,
  content: Buffer,
  afterFirst?: () => Promise<void>,
): Promise<string> {
  const { statusCode, body } = await lab.client.call('GET', `${SNAPSHOTS}/${id}/disks/data.img`)
  if (statusCode !== 200) return `${statusCode} ${await body.text()}`
  let arrived = 0
  let then = afterFirst
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      assert.ok(piece.equals(content.subarray(arrived, arrived + piece.length)), `wrong bytes at ${arrived}`)
      arrived += piece.length
      await then?.()
      then = undefined
    }
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error
    return `broken off after ${arrived} bytes: ${String(error)}`
  }
  assert.equal(arrived, content.length, 'the download ended in silence')
  return 'whole'
}
