/** NFS and SMB keep a file that is deleted while somebody reads it, each in its own way; OCFS2 as local filesystems do. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ApiClient, RemoteSnapshot } from '../support/api-client.ts'
import { type MachineTestContext, machineTest } from '../vm/inside/machine-test.ts'
import { ask, assertOnly, eventually, layMachine, type SilentLab, silentLab } from './silent-lab.ts'

const MIB = 1024 * 1024
/** Much more than sockets and streams hold: most of it is read after the snapshot is gone. */
const DISK_BYTES = 24 * MIB
const CLEARED_MS = 60_000

type Download = Awaited<ReturnType<ApiClient['call']>>['body']

interface Scene extends AsyncDisposable {
  readonly lab: SilentLab
  readonly vmId: string
  readonly kept: RemoteSnapshot
  /** Of the disk, in every snapshot. */
  readonly content: Buffer
  /** Of the API. */
  readonly snapshots: string
  /** On the side of the server of the filesystem. */
  readonly folder: string
  /** Begins to download a new snapshot and deletes it meanwhile. */
  deleteWhileRead(): Promise<{ readonly path: string; readonly download: Download }>
}

async function open({ mount, filesystem }: MachineTestContext): Promise<Scene> {
  const lab = await silentLab([mount])
  const { client } = lab
  const { vm, disk } = await layMachine(mount, '1', DISK_BYTES)
  const snapshots = `/api/v1/vms/${vm.id}/snapshots`
  const downloads: Download[] = []
  return {
    lab,
    vmId: vm.id,
    kept: await client.createSnapshot(vm.id),
    content: await readFile(disk.path),
    snapshots,
    folder: join(filesystem.serverDirectory, 'CoriolisSnapshots'),
    async deleteWhileRead() {
      const { id } = await client.createSnapshot(vm.id)
      const path = `${snapshots}/${id}`
      const { statusCode, body } = await client.call('GET', `${path}/disks/disk-1.img`)
      assert.equal(statusCode, 200)
      downloads.push(body.on('error', () => undefined))
      await once(body, 'readable')
      const deleted = await ask(client, 'DELETE', path)
      assert.equal(deleted.status, 200, deleted.text)
      return { path, download: body }
    },
    [Symbol.asyncDispose]() {
      // The client would wait for those that a failed test has left.
      for (const download of downloads) download.destroy()
      return lab[Symbol.asyncDispose]()
    },
  }
}

for (const kind of ['nfs42', 'cifs'] as const) {
  machineTest(
    kind,
    'a snapshot that is deleted during its download is gone at once, and its files when the download ends',
    async (context) => {
      await using scene = await open(context)
      const { lab, vmId, kept, content, snapshots, folder } = scene
      const { client } = lab
      const { path, download } = await scene.deleteWhileRead()
      await assert.rejects(assertOnly(folder, [kept.id]), 'the test is none unless files are held')

      assert.equal((await ask(client, 'GET', path)).code, 'SNAPSHOT_NOT_FOUND')
      const again = await ask(client, 'DELETE', path)
      assert.equal(again.status, 200, again.text)
      const next = await client.createSnapshot(vmId)
      const listed = JSON.parse((await ask(client, 'GET', snapshots)).text) as RemoteSnapshot[]
      assert.deepEqual(listed.map(({ id }) => id).sort(), [kept.id, next.id].sort())
      assert.ok(Buffer.from(await download.arrayBuffer()).equals(content))
      await eventually(() => assertOnly(folder, [kept.id, next.id]), CLEARED_MS)
      assert.ok(lab.server.logs.some(({ msg }) => String(msg).includes('still being read')))

      const purged = await scene.deleteWhileRead()
      assert.equal((await ask(client, 'DELETE', snapshots)).status, 200)
      assert.ok(Buffer.from(await purged.download.arrayBuffer()).equals(content))
      await eventually(() => assertOnly(folder, []), CLEARED_MS)
      assert.deepEqual(
        lab.server.logs.filter(({ err }) => err !== undefined),
        [],
      )
    },
  )

  machineTest(
    kind,
    'a server that is killed while a deleted snapshot is downloaded leaves nothing of it after its next start',
    async (context) => {
      await using scene = await open(context)
      const { lab, kept, folder } = scene
      const { download } = await scene.deleteWhileRead()
      await lab.server.kill()
      await assert.rejects(download.arrayBuffer())
      await lab.restart()
      await eventually(() => assertOnly(folder, [kept.id]), CLEARED_MS)
    },
  )
}

machineTest(
  'ocfs2',
  'a download goes on to its last byte when its snapshot is deleted meanwhile, and its folder is gone at once',
  async (context) => {
    await using scene = await open(context)
    const { lab, kept, content, folder } = scene
    const { path, download } = await scene.deleteWhileRead()
    await assertOnly(folder, [kept.id])
    assert.equal((await ask(lab.client, 'GET', path)).code, 'SNAPSHOT_NOT_FOUND')
    assert.ok(Buffer.from(await download.arrayBuffer()).equals(content))
  },
)
