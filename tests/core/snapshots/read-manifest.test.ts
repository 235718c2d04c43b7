import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { placeManifest } from '../../../core/snapshots/place-manifest.ts'
import { readManifest } from '../../../core/snapshots/read-manifest.ts'
import { writeManifest } from '../../../core/snapshots/snapshot-manifest.ts'
import type { SnapshotRecord } from '../../../core/snapshots/snapshot-record.ts'
import type { Mount } from '../../../core/storage-backend.ts'

const ID = '381ba26b-4a62-4baf-a450-af120ceddcbf'
const DISK = {
  name: 'system.img',
  parentPath: '/r/VirtualDisks/system.img',
  path: '/etc/shadow',
  repositoryId: 'r1',
  repositoryMountPoint: '/elsewhere',
  root: '/elsewhere',
  size: 4096,
  backend: 'xfs',
  inode: 133,
  birthTimeNs: '1795523770727807955',
  extents: 7,
  cloneMs: 1.25,
}
const SOUND = {
  version: 1,
  vmId: 'vm-1',
  id: ID,
  createdAt: '2024-02-29T12:34:56.789Z',
  vmUuid: '0004fb00-0006-0000-ccaf-98a0baa2c186',
  vmFriendlyName: 'exämple',
  consistency: 'quiesced' as const,
  consistencyReason: null,
  stallMs: 12.5,
  skewMs: 1,
  stallForecastMs: null,
  disks: [DISK],
}

const HOSTILE: readonly (readonly [what: string, manifest: unknown, complaint: RegExp])[] = [
  ['of another version', { ...SOUND, version: 2 }, /has a version that is not known/],
  [
    'of a version of megabytes',
    { ...SOUND, version: '2'.repeat(2 ** 21) },
    /^Error: has a version that is not known$/,
  ],
  ['of another snapshot', { ...SOUND, id: ID.replace('3', '4') }, /another snapshot/],
  ['without a VM', { ...SOUND, vmId: '' }, /vmId/],
  ['of a VM with a line end', { ...SOUND, vmId: 'vm\n1' }, /vmId/],
  ['of a VM with too long a name', { ...SOUND, vmId: 'v'.repeat(256) }, /vmId/],
  ['of a VM that is no text', { ...SOUND, vmUuid: { toString: 'x' } }, /vmUuid/],
  ['of no time', { ...SOUND, createdAt: 'yesterday' }, /createdAt/],
  ['of a day that is none', { ...SOUND, createdAt: '2024-13-45T12:34:56.789Z' }, /createdAt/],
  ['of the end of time', { ...SOUND, createdAt: '+275760-09-13T00:00:00.000Z' }, /createdAt/],
  ['without disks', { ...SOUND, disks: [] }, /number of disks/],
  ['with disks that are no list', { ...SOUND, disks: { length: 1 } }, /no disks/],
  ['with a million disks', { ...SOUND, disks: Array(2000).fill(0) }, /number of disks/],
  ['with a disk that is null', { ...SOUND, disks: [null] }, /disk that is none/],
  ['with a disk twice', { ...SOUND, disks: [DISK, DISK] }, /twice/],
  ...['', '.', '..', '../x', 'a/b', '/etc/shadow', 'a\0b', 'a\nb', 'ü'.repeat(200), 'snapshot.json', 7].map(
    (name) =>
      [
        `with a disk called ${JSON.stringify(name)}`,
        { ...SOUND, disks: [{ ...DISK, name }] },
        /usable name/,
      ] as const,
  ),
  ...[-1, 1.5, 2 ** 53, '4096', null].map(
    (size) =>
      [
        `with a size of ${JSON.stringify(size)}`,
        { ...SOUND, disks: [{ ...DISK, size }] },
        /usable size/,
      ] as const,
  ),
  ['without a repository', { ...SOUND, disks: [{ ...DISK, repositoryId: undefined }] }, /repositoryId/],
  ['with an inode that is no number', { ...SOUND, disks: [{ ...DISK, inode: '7' }] }, /inode/],
  ...[1795523770, '', '-1', '1e9', '0', '9'.repeat(20)].map(
    (birthTimeNs) =>
      [
        `with a birth time of ${JSON.stringify(birthTimeNs)}`,
        { ...SOUND, disks: [{ ...DISK, birthTimeNs }] },
        /birthTimeNs/,
      ] as const,
  ),
  ['with a reason that is no text', { ...SOUND, consistencyReason: 7 }, /consistencyReason/],
  ['with a backend that is no text', { ...SOUND, disks: [{ ...DISK, backend: ['xfs'] }] }, /backend/],
  ['that is a list', [SOUND], /not a JSON object/],
  ['that is null', null, /not a JSON object/],
]

describe('readManifest()', () => {
  let folder = ''
  const read = async (text: string) => {
    await writeFile(join(folder, 'snapshot.json'), text)
    return readManifest(join(folder, 'snapshot.json'), ID)
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'diskferry-manifest-'))
  })
  after(() => rm(folder, { recursive: true }))

  it('keeps no path but the one that is only shown', async () => {
    const { parentPath, name, repositoryId, size, backend, inode, birthTimeNs, extents, cloneMs } = DISK
    const { version: _, ...lasting } = SOUND
    assert.deepEqual(await read(JSON.stringify(SOUND)), {
      ...lasting,
      disks: [{ name, parentPath, repositoryId, size, backend, inode, birthTimeNs, extents, cloneMs }],
    })
  })

  for (const [what, manifest, complaint] of HOSTILE) {
    it(`refuses one ${what}`, async () => {
      await assert.rejects(read(JSON.stringify(manifest)), complaint)
    })
  }

  for (const text of ['two\nlines', '\u001b[31m\tred\0', 'x'.repeat(10_000), '\ud800 alone', '']) {
    it(`takes back what was written with ${JSON.stringify(text).slice(0, 40)} where it is only shown`, async () => {
      const { version: _, vmId, ...record } = SOUND
      const disks = [{ ...DISK, parentPath: text }]
      const written = { ...record, vmUuid: text, vmFriendlyName: text, consistencyReason: text, disks }
      await writeManifest(folder, vmId, { ...written, state: 'ready' } as unknown as SnapshotRecord)
      const taken = await readManifest(join(folder, 'snapshot.json'), ID)
      const texts = [taken.vmUuid, taken.vmFriendlyName, taken.consistencyReason, taken.disks[0]!.parentPath]
      for (const shown of texts) {
        assert.equal(typeof shown, 'string')
        assert.ok(shown!.length === Math.min(text.length, 4096) && !/\p{Cc}/u.test(shown!), shown!)
      }
    })
  }

  it('refuses every part of one', async () => {
    const text = JSON.stringify(SOUND)
    for (let length = 0; length < text.length; length += 1) {
      await assert.rejects(read(text.slice(0, length)), /not JSON/, `${length} of ${text.length} bytes`)
    }
  })

  it('refuses one of a terabyte without reading it', async () => {
    await truncate(join(folder, 'snapshot.json'), 2 ** 40)
    await assert.rejects(readManifest(join(folder, 'snapshot.json'), ID), /too much/)
  })

  it('refuses a link, a folder and a pipe, and waits for nobody', async () => {
    await writeFile(join(folder, 'real'), JSON.stringify(SOUND))
    await symlink('real', join(folder, 'link'))
    await mkdir(join(folder, 'folder'))
    execFileSync('mkfifo', [join(folder, 'pipe')])
    await assert.rejects(readManifest(join(folder, 'link'), ID), { code: 'ELOOP' })
    await assert.rejects(readManifest(join(folder, 'folder'), ID), /not a regular file/)
    await assert.rejects(readManifest(join(folder, 'pipe'), ID), /not a regular file/)
  })
})

describe('placeManifest()', () => {
  const repository = (id: string) => ({ id, mountPoint: `/link-to-${id}`, alias: '' })
  const mounted = (id: string) => ({ repository: repository(id), root: `/${id}`, mount: {} as Mount })
  const { version: _, ...manifest } = SOUND
  const repositories = [repository('r1'), repository('r2')]

  it('looks for a disk in the own folder of the snapshot, whatever the manifest says', () => {
    const [r1, r2] = [mounted('r1'), mounted('r2')]
    const placement = placeManifest(manifest, r1, repositories, [r1, r2])
    assert.ok('record' in placement)
    const { path, root, repositoryMountPoint } = placement.record.disks[0]!
    assert.deepEqual(
      { path, root, repositoryMountPoint },
      { path: `/r1/CoriolisSnapshots/${ID}/system.img`, root: '/r1', repositoryMountPoint: '/link-to-r1' },
    )
  })

  it('takes a repository that has another id now for the one that the manifest lies in', () => {
    const r3 = mounted('r3')
    const placement = placeManifest(manifest, r3, [r3.repository], [r3])
    assert.equal(
      'record' in placement && placement.record.disks[0]!.path,
      `/r3/CoriolisSnapshots/${ID}/system.img`,
    )
  })

  it('waits for a repository that is not mounted', () => {
    const r2 = mounted('r2')
    assert.deepEqual(placeManifest(manifest, r2, repositories, [r2]), { notMounted: repositories[0] })
  })

  it('refuses a manifest that lies in a repository of which it names no disk', () => {
    const [r1, r2] = [mounted('r1'), mounted('r2')]
    assert.ok('refused' in placeManifest(manifest, r2, repositories, [r1, r2]))
  })
})
