import { playExportModels } from '../support/export-model-test.ts'
import { machineTest } from '../vm/inside/machine-test.ts'

const SEEDS = [1, 2, 3, 4, 5]
/** Of several copy-on-write units of OCFS2, which are of up to 1 MiB, and few enough for the test machine. */
const MAX_DISK_BYTES = 8 * 1024 * 1024
const TIMEOUT_MS = 10 * 60_000

// The hypervisors' volumes have clusters of 1 MiB.
for (const [name, seeds] of [
  ['ocfs2', SEEDS],
  ['ocfs2-1m', SEEDS.slice(0, 2)],
] as const) {
  machineTest(
    name,
    `pulled disks equal the model in every byte, over ${seeds.length} seeds`,
    ({ mount, kind, t }) =>
      playExportModels({ mountPoint: mount, kind, seeds, maxDiskBytes: MAX_DISK_BYTES }, t),
    { timeoutMs: TIMEOUT_MS },
  )
}
