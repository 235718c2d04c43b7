import type { CheckGroup } from './check.ts'
import { abortChecks } from './checks/abort-checks.ts'
import { changeChecks } from './checks/change-checks.ts'
import { cloneChecks } from './checks/clone-checks.ts'
import { historyChecks } from './checks/history-checks.ts'
import { instantChecks } from './checks/instant-checks.ts'
import { largeDiskChecks } from './checks/large-disk-checks.ts'
import { manifestChecks } from './checks/manifest-checks.ts'
import { mapChecks } from './checks/map-checks.ts'
import { movedBlockChecks } from './checks/moved-block-checks.ts'
import { robustnessChecks } from './checks/robustness-checks.ts'
import { spaceChecks } from './checks/space-checks.ts'

/** The whole suite, in the order of running: what others rely on comes first. */
export const CHECK_GROUPS: readonly CheckGroup[] = [
  { name: 'manifest and mount', checks: manifestChecks },
  { name: 'clone', checks: [...cloneChecks, ...spaceChecks, ...instantChecks] },
  { name: 'extent map', checks: mapChecks },
  { name: 'difference', checks: changeChecks },
  { name: 'moved blocks', checks: movedBlockChecks },
  { name: 'random histories', checks: historyChecks },
  { name: 'large disks', checks: largeDiskChecks },
  { name: 'aborts', checks: abortChecks },
  { name: 'robustness', checks: robustnessChecks },
]
