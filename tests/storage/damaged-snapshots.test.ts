/** What is wrong with the files of a snapshot is told, and costs that snapshot alone. */

import assert from 'node:assert/strict'
import { copyFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { EXAMPLE_VM_ID } from '../support/agent-repository.ts'
import type { ApiClient, RemoteSnapshot } from '../support/api-client.ts'
import { writeAt } from '../support/core.ts'
import { openLab } from '../support/lab.ts'
import { snapshotFolders } from '../support/snapshot-folders.ts'
import { MIB } from '../support/snapshot-test.ts'
import { storageTest } from '../support/storage-test.ts'

const DISK = 'system.img'
const VM = {
  id: EXAMPLE_VM_ID,
  friendlyName: 'damaged',
  disks: [
    { name: DISK, deviceName: 'xvda', size: 4 * MIB },
    { name: 'data.img', deviceName: 'xvdb', size: MIB },
  ],
} as const
const SNAPSHOTS = `/api/v1/vms/${VM.id}/snapshots`

interface Fault {
  readonly what: string
  readonly reason: RegExp
  /** @param other the folder of another snapshot that is damaged anyway, or by this */
  damage(folder: string, other: string): Promise<unknown>
}

const FAULTS: readonly Fault[] = [
  {
    what: 'clones swapped',
    reason: /file of disk system\.img was replaced: it has inode \d+ where \d+ was recorded/,
    damage: (folder, other) => swap(join(folder, DISK), join(other, DISK)),
  },
  {
    what: 'its clone was that of the one before',
    reason: /file of disk system\.img was replaced: it has inode \d+ where \d+ was recorded/,
    damage: async () => undefined,
  },
  {
    what: 'folders swapped',
    reason: /snapshot\.json names another snapshot than its folder/,
    damage: (folder, other) => swap(folder, other),
  },
  {
    what: 'its folder was that of the one before',
    reason: /snapshot\.json names another snapshot than its folder/,
    damage: async () => undefined,
  },
  {
    what: 'clone gone',
    reason: /file of disk system\.img is missing/,
    damage: (folder) => rm(join(folder, DISK)),
  },
  {
    what: 'clone cut',
    reason: /file of disk system\.img has 1048576 bytes where 4194304 were recorded/,
    damage: (folder) => truncate(join(folder, DISK), MIB),
  },
  {
    what: 'clone replaced by a copy, which snapshot.json was made to fit',
    reason: /snapshot\.json has \d+ as the inode of disk system\.img where \d+ was recorded/,
    async damage(folder) {
      await copyFile(join(folder, DISK), join(folder, 'copy'))
      await rename(join(folder, 'copy'), join(folder, DISK))
      await edit(folder, ({ disks: [first, ...rest], ...manifest }) => ({
        ...manifest,
        disks: [{ ...first, inode: 1 }, ...rest],
      }))
    },
  },
  {
    what: 'folder gone',
    reason: /file of disk system\.img is missing/,
    damage: (folder) => rm(folder, { recursive: true }),
  },
  {
    what: 'snapshot.json of another snapshot',
    reason: /snapshot\.json names another snapshot than its folder/,
    damage: (folder, other) => copyFile(join(other, 'snapshot.json'), join(folder, 'snapshot.json')),
  },
  {
    what: 'snapshot.json of another VM',
    reason: /snapshot\.json is of VM strange where 0004fb000006000037b8d41d0e2a59c6 was recorded/,
    damage: (folder) => edit(folder, (manifest) => ({ ...manifest, vmId: 'strange' })),
  },
  {
    what: 'snapshot.json gone',
    reason: /snapshot\.json is missing/,
    damage: (folder) => rm(join(folder, 'snapshot.json')),
  },
  {
    what: 'snapshot.json cut',
    reason: /snapshot\.json is not JSON, or only a part of it/,
    damage: (folder) => truncate(join(folder, 'snapshot.json'), 100),
  },
]

storageTest(
  'xfs',
  'a snapshot whose files are gone, cut, replaced or of another is told damaged, refused, and can be deleted',
  async ({ mount }) => {
    await using lab = await openLab({ mountPoint: mount })
    const { client } = lab
    const disk = (await lab.addVm(VM)).get(DISK)!
    const take = async (fill: number): Promise<RemoteSnapshot> => {
      await writeAt(disk, MIB, Buffer.alloc(8192, fill))
      return client.createSnapshot(VM.id)
    }
    const before = await take(200)
    const first = await readFile(disk)
    const doomed: RemoteSnapshot[] = []
    for (const fill of FAULTS.keys()) doomed.push(await take(fill + 1))
    const after = await take(201)
    const last = await readFile(disk)

    for (const [index, { damage }] of FAULTS.entries()) {
      await damage(folderOf(doomed[index]!), folderOf(doomed[index + 1] ?? before))
    }
    await isSound(client, before, after, first, last)
    const listed = (await client.json('GET', SNAPSHOTS)) as readonly (RemoteSnapshot & Listed)[]
    assert.deepEqual(
      listed.map(({ id }) => id),
      [before, ...doomed, after].map(({ id }) => id),
    )
    for (const [index, { what, reason }] of FAULTS.entries()) {
      const { id, state, damage, disks } = listed[index + 1]!
      assert.equal(state, 'damaged', what)
      assert.equal(damage.match(new RegExp(reason, 'g'))?.length, 1, `${what}: ${damage}`)
      const whole = disks[0]!.chunks.map(({ start, length }) => [start, length])
      assert.deepEqual(whole, [[0, 4 * MIB]], what)
      await isRefused(client, `${SNAPSHOTS}/${id}`, reason, what)
      await isRefused(client, `${SNAPSHOTS}/${id}?compareTo=${before.id}`, reason, what)
      await isRefused(client, `${SNAPSHOTS}/${after.id}?compareTo=${id}`, reason, what)
      await isRefused(client, `${SNAPSHOTS}/${id}/disks/${DISK}`, reason, what)
      await isRefused(client, `${SNAPSHOTS}/${id}/disks/${DISK}`, reason, what, { range: 'bytes=0-511' })
      const head = await client.call('HEAD', `${SNAPSHOTS}/${id}/disks/${DISK}`)
      await head.body.dump()
      assert.equal(head.statusCode, 409, what)
    }
    assert.ok([listed[0]!, listed.at(-1)!].every(({ state }) => state === 'ready'))

    for (const { id } of doomed) await client.deleteSnapshot(VM.id, id)
    assert.deepEqual(await snapshotFolders(mount), [before.id, after.id].sort())
    await isSound(client, before, after, first, last)
    await client.json('DELETE', SNAPSHOTS)
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)

interface Listed {
  readonly state: string
  readonly damage: string
}

interface ManifestText {
  readonly disks: readonly object[]
}

function folderOf({ disks }: RemoteSnapshot): string {
  return dirname(disks[0]!.path)
}

async function edit(folder: string, change: (manifest: ManifestText) => object): Promise<void> {
  const file = join(folder, 'snapshot.json')
  await writeFile(file, JSON.stringify(change(JSON.parse(await readFile(file, 'utf8')))))
}

async function swap(left: string, right: string): Promise<void> {
  await rename(left, `${left}.away`)
  await rename(right, left)
  await rename(`${left}.away`, right)
}

async function isRefused(
  client: ApiClient,
  path: string,
  reason: RegExp,
  what: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { statusCode, body } = await client.call('GET', path, { headers })
  const text = await body.text()
  assert.equal(statusCode, 409, `${what}: ${path}: ${text}`)
  const { code, details } = JSON.parse(text) as { readonly code: string; readonly details: string }
  assert.equal(code, 'SNAPSHOT_DAMAGED', what)
  assert.match(details, reason, what)
}

/** The two around the damaged ones are served and compared as if nothing were. */
async function isSound(
  client: ApiClient,
  before: RemoteSnapshot,
  after: RemoteSnapshot,
  first: Buffer,
  last: Buffer,
): Promise<void> {
  for (const [{ id }, content] of [
    [before, first],
    [after, last],
  ] as const) {
    const { body } = await client.call('GET', `${SNAPSHOTS}/${id}/disks/${DISK}`)
    assert.ok(Buffer.from(await body.arrayBuffer()).equals(content))
  }
  const [disk] = (await client.snapshot(VM.id, after.id, before.id, 'True')).disks
  assert.deepEqual(
    disk!.chunks.map(({ start, length }) => [start, length]),
    [[MIB, 8192]],
  )
}
