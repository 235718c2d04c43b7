import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Disk } from '../../conformance/guest/disk.ts'
import { pullDisk } from '../support/ancestor-client.ts'
import { ApiClient, type RemoteDisk, type RemoteSnapshot } from '../support/api-client.ts'
import { startServer } from '../support/server.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { machineTest } from '../vm/inside/machine-test.ts'
import { mountKind } from '../vm/inside/mount-kind.ts'

const KIB = 1024
const SIZE = 4 * KIB * KIB + 1
const VM = 'mixed'

machineTest(
  'ocfs2',
  'a VM with one disk on OCFS2 and one on NFS is exported in one snapshot, each by its own backend',
  async ({ mount: ocfs2 }) => {
    await using remote = await mountKind('nfs42')
    await using local = await temporaryDirectory('mixed')
    const disks = [
      await Disk.create(join(ocfs2, 'system.img'), SIZE),
      await Disk.create(join(remote.mountPoint, 'data.img'), SIZE),
    ]
    for (const disk of disks) await disk.fill(100 * KIB, 900 * KIB, 1)
    const extraConfig = inventory([ocfs2, remote.mountPoint], disks)
    await using server = await startServer({ directory: join(local.path, 'server'), extraConfig })
    await using client = new ApiClient(server)
    await client.login()

    const first = await client.createSnapshot(VM)
    assert.deepEqual(first.disks.map(({ name, repo_mountpoint }) => [name, repo_mountpoint]).sort(), [
      ['data.img', remote.mountPoint],
      ['system.img', ocfs2],
    ])
    await pullAll(client, first, local.path, disks)
    for (const disk of disks) {
      await disk.fill(500 * KIB + 3, 20 * KIB, 2)
      await disk.fallocate('punch-hole', 128 * KIB, 64 * KIB)
    }
    const { id } = await client.createSnapshot(VM)
    const second = await client.snapshot(VM, id, first.id)
    const methods = second.disks.map(({ name, diff }) => [name, diff?.method]).sort()
    assert.deepEqual(methods, [
      ['data.img', 'content'],
      ['system.img', 'physical'],
    ])
    await pullAll(client, second, local.path, disks)

    for (const snapshot of [first, second]) await client.deleteSnapshot(VM, snapshot.id)
  },
)

/** Brings the copies in a folder up to a snapshot, and compares them with the disks, which have not changed since. */
async function pullAll(
  client: ApiClient,
  snapshot: RemoteSnapshot,
  folder: string,
  disks: readonly Disk[],
): Promise<void> {
  for (const remote of snapshot.disks) {
    const file = join(folder, remote.name)
    await pullDisk(client, snapshot, remote, file, 'new')
    assert.ok((await readFile(file)).equals(await readFile(parentOf(remote, disks))), remote.name)
  }
}

function parentOf({ parent_path }: RemoteDisk, disks: readonly Disk[]): string {
  const found = disks.find(({ path }) => path === parent_path)
  assert.ok(found, parent_path)
  return found.path
}

function inventory(mountPoints: readonly string[], disks: readonly Disk[]): string {
  const repositories = mountPoints.map(
    (mountPoint, index) =>
      `[[static.repositories]]\nid = "repository-${index}"\nmount_point = ${JSON.stringify(mountPoint)}\n`,
  )
  const listed = disks.map(
    ({ path }, index) => `{ path = ${JSON.stringify(path)}, device_name = "xvd${'ab'[index]}", mode = "w" }`,
  )
  return `${repositories.join('\n')}
[[static.vms]]
name = "${VM}"
uuid = "0004fb00-0006-0000-37b8-d41d0e2a59c6"
friendly_name = "mixed"
disks = [${listed.join(', ')}]
`
}
