import { playExportModels } from '../support/export-model-test.ts'
import { machineTest } from '../vm/inside/machine-test.ts'

const SEEDS = [1, 2, 3, 4, 5]

machineTest(
  'ocfs2',
  `pulled disks equal the model in every byte, over ${SEEDS.length} seeds`,
  ({ mount, kind, t }) => playExportModels(mount, kind, SEEDS, t),
)
