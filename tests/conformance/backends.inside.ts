import { conformance } from '../../conformance/index.ts'
import { REFLINK_MACHINE_KINDS } from '../vm/inside/kinds.ts'
import { machineTest } from '../vm/inside/machine-test.ts'
import { loadFactory } from './support.ts'

/** The backend of each filesystem that only the test machine has. XFS and btrfs are tested on this machine's kernel. */
const BACKEND: Readonly<Record<string, string>> = { ocfs2: 'ocfs2', nfs4: 'nfs42', cifs: 'cifs' }

/** A suite is some ninety tests. */
const TIMEOUT_MS = 15 * 60_000

for (const kind of REFLINK_MACHINE_KINDS) {
  const backend = BACKEND[kind.filesystem]
  if (backend === undefined) continue
  // Each extent of a map is two round trips to a server, and the server is emulated too.
  const extents = kind.server === undefined ? 2000 : 1000
  machineTest(
    kind,
    'the backend passes the conformance suite',
    async ({ mount, t }) => {
      const options = { backend: await loadFactory(backend), directory: mount, seeds: [1, 2], extents }
      await conformance({ ...options, timeLimit: TIMEOUT_MS / 1000 / 2 }, t)
    },
    { timeoutMs: TIMEOUT_MS },
  )
}
