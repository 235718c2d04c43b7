import { conformance } from '../../conformance/index.ts'
import type { MachineKindName } from '../vm/inside/kinds.ts'
import { machineTest } from '../vm/inside/machine-test.ts'
import { loadFactory } from './support.ts'

/** A suite is some ninety tests. */
const TIMEOUT_MS = 15 * 60_000

/** The suite on a filesystem that only the test machine has. XFS and btrfs are tested on this machine's kernel. */
export function insideSuite(
  kind: MachineKindName,
  backend: string,
  options: { readonly extents?: number } = {},
): void {
  machineTest(
    kind,
    'the backend passes the conformance suite',
    async ({ mount, t }) => {
      const factory = await loadFactory(backend)
      const common = { backend: factory, directory: mount, seeds: [1, 2] }
      await conformance({ ...common, ...options, timeLimit: TIMEOUT_MS / 1000 / 2 }, t)
    },
    { timeoutMs: TIMEOUT_MS },
  )
}
