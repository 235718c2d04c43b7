import assert from 'node:assert/strict'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LEASE_FILE, leaseBeside } from '../../core/leases/lease-file.ts'
import { isLeaseRecord } from '../../core/leases/lease-record.ts'
import { readManifest } from '../../core/snapshots/read-manifest.ts'
import { MANIFEST_NAME } from '../../core/snapshots/snapshot-manifest.ts'
import { isDiskName } from '../../core/vms/disk-names.ts'
import { holdBeneath } from '../../native/index.ts'
import { type FuzzTarget, REFUSED } from './target.ts'

const ID = '381ba26b-4a62-4baf-a450-af120ceddcbf'
const root = await mkdtemp(join(tmpdir(), 'diskferry-fuzz-snapshot-'))
const folder = join(root, 'CoriolisSnapshots', ID)
await mkdir(folder, { recursive: true })

const DISK = { name: 'a.img', parentPath: '/r/a.img', repositoryId: 'r', size: 4096, backend: 'xfs' }
const MANIFEST = {
  version: 1,
  vmId: 'vm-1',
  id: ID,
  createdAt: '2024-02-29T12:34:56.789Z',
  vmUuid: '0004fb00-0006-0000-ccaf-98a0baa2c186',
  vmFriendlyName: 'exämple',
  disks: [DISK],
}
const MEASURED = { consistency: 'quiesced', consistencyReason: null, stallMs: 12.5, skewMs: 1 }
const EXACT = { ...DISK, name: 'b.img', inode: 7, birthTimeNs: '1795523770727807955', extents: 7, cloneMs: 1 }
const LEASE = {
  version: 1,
  snapshotId: ID,
  holder: 'backup',
  takenAt: '2024-02-29T12:34:56.789Z',
  expiresAt: '2024-03-01T12:34:56.789Z',
  ttlMs: 86_400_000,
  bootId: 'boot',
  bootMs: 5,
}
const WORDS = ['"', '{', '}', '[', ']', ':', ',', '\\u0000', '\\ud800', '1e308', '-0', 'null', '"__proto__":']
const KEYS = [...Object.keys({ ...MANIFEST, ...MEASURED, ...EXACT })].map((key) => `"${key}":`)

function texts(values: readonly unknown[]): () => Promise<readonly Buffer[]> {
  return async () => values.map((value) => Buffer.from(JSON.stringify(value, null, 2)))
}

/** The files of a snapshot, which whoever can write to the repository may have written. */
export const SNAPSHOT_FILE_TARGETS: Readonly<Record<string, FuzzTarget>> = {
  'snapshot.json': {
    corpus: texts([MANIFEST, { ...MANIFEST, ...MEASURED, disks: [DISK, EXACT] }]),
    words: [...WORDS, ...KEYS],
    refusals: [],
    async run(input) {
      const file = join(folder, MANIFEST_NAME)
      await writeFile(file, input)
      const manifest = await readManifest(file, ID).catch((error: Error) => {
        // What is wrong with it is told by an Error; anything more special is a mistake of the program.
        if (error.constructor !== Error) throw error
      })
      if (manifest === undefined) return REFUSED
      assert.equal(manifest.id, ID)
      for (const { name, size, parentPath } of manifest.disks) {
        assert.ok(isDiskName(name) && Number.isSafeInteger(size) && size >= 0)
        assert.ok(![...parentPath].some((character) => character < ' '), parentPath)
      }
      return manifest
    },
  },
  'snapshot.lease.json': {
    corpus: texts([LEASE]),
    words: [...WORDS, ...Object.keys(LEASE).map((key) => `"${key}":`)],
    refusals: [],
    async run(input) {
      await writeFile(join(folder, LEASE_FILE), input)
      const lease = await leaseBeside(root, ID, holdBeneath)
      assert.ok(lease === undefined || isLeaseRecord(lease))
      return lease ?? REFUSED
    },
  },
}
