import { conformance } from '../../conformance/index.ts'
import { REFLINK_MACHINE_KINDS } from '../vm/inside/kinds.ts'
import { machineTest } from '../vm/inside/machine-test.ts'
import { loadFactory } from './support.ts'

/** The backend of each filesystem that only the test machine has. XFS and btrfs are tested on this machine's kernel. */
const BACKEND: Readonly<Record<string, string>> = { ocfs2: 'ocfs2', nfs4: 'nfs42', cifs: 'cifs' }

for (const kind of REFLINK_MACHINE_KINDS) {
  const backend = BACKEND[kind.filesystem]
  if (backend === undefined) continue
  machineTest(kind, 'the backend passes the conformance suite', async ({ mount, t }) => {
    await conformance(
      { backend: await loadFactory(backend), directory: mount, seeds: [1, 2], extents: 2000 },
      t,
    )
  })
}
