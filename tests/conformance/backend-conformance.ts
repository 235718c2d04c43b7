import { conformance } from '../../conformance/index.ts'
import { REFLINK_STORAGE, type StorageName } from '../storage/matrix.ts'
import { seedsFrom } from '../support/random.ts'
import { storageTest } from '../support/storage-test.ts'
import { loadFactory } from './support.ts'

const { CONFORMANCE_SEEDS } = process.env
const SIZE_BYTES = 4 * 1024 ** 3
const TIMEOUT_MS = 600_000
/** The variants of a filesystem treat many extents alike: one of each takes the whole number. */
const MANY_EXTENTS: ReadonlySet<StorageName> = new Set(['xfs', 'btrfs'])

/** Runs the whole suite with our own backend on every kind of this filesystem that the matrix has. */
export function testBackend(filesystem: string): void {
  for (const kind of REFLINK_STORAGE.filter((candidate) => candidate.filesystem === filesystem)) {
    storageTest(
      kind,
      'the backend passes the conformance suite',
      async ({ mount, t }) => {
        const backend = await loadFactory(filesystem)
        const seeds = seedsFrom(CONFORMANCE_SEEDS, '1-10')
        const extents = MANY_EXTENTS.has(kind.name) ? 100_000 : 5000
        await conformance({ backend, directory: mount, seeds, extents }, t)
      },
      { sizeBytes: SIZE_BYTES, timeoutMs: TIMEOUT_MS },
    )
  }
}
