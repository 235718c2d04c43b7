import { exportModelTest } from '../support/export-model-test.ts'
import { REFLINK_STORAGE } from './matrix.ts'

for (const kind of REFLINK_STORAGE.filter(({ filesystem }) => filesystem === 'xfs')) exportModelTest(kind)
