import type { Core } from '../../container.ts'
import { DiskferryError, describe, type ErrorCode } from '../../core/errors.ts'
import { disksOf, type SnapshotRecord } from '../../core/snapshots/snapshot-record.ts'
import type { Finding, Level } from './finding.ts'

/** What is mounted, and whether snapshots can be made there: with a real trial clone. */
export async function checkRepositories({ repositories }: Core): Promise<readonly Finding[]> {
  const found: Finding[] = []
  const add = (level: Level, message: string): void => {
    found.push({ area: 'repositories', level, message })
  }
  for (const { message } of await repositories.problems()) add('problem', message)
  for (const {
    id,
    mountPoint,
    backend,
    filesystem,
    compatible,
    reasons,
    problems,
  } of await repositories.list()) {
    if (compatible) add('ok', `${id}: ${backend} on '${mountPoint}' (${filesystem})`)
    else add('problem', `${id}: ${reasons.join('; ')}`)
    for (const problem of problems) add('problem', `${id}: ${problem}`)
  }
  if (found.length === 0) add('problem', 'the inventory has no repository')
  return found
}

/** These say nothing of the snapshot itself; the repository has its own finding. */
const OF_THE_REPOSITORY: ReadonlySet<ErrorCode> = new Set([
  'REPOSITORY_NOT_MOUNTED',
  'REPOSITORY_NOT_RESPONDING',
])

/** Whether each disk of each snapshot is what was recorded. */
export async function checkSnapshots({ store, disks }: Core): Promise<readonly Finding[]> {
  const found: Finding[] = []
  let intact = 0
  const check = async (vmId: string, snapshot: SnapshotRecord): Promise<void> => {
    const { id, state } = snapshot
    const add = (level: Level, what: string): void => {
      const message = `VM ${vmId}, snapshot ${id}: ${what}`
      // What is wrong with its snapshot.json is found again for each disk.
      if (found.at(-1)?.message !== message) found.push({ area: 'snapshots', level, message })
    }
    if (state !== 'ready') {
      add(
        'warning',
        `${state}: a server is at it, or was killed; the next start, or the VM's next snapshot, clears it away`,
      )
      return
    }
    const before = found.length
    for (const disk of disksOf(vmId, snapshot)) {
      try {
        await disks.assertIntact(disk)
      } catch (error) {
        const elsewhere = error instanceof DiskferryError && OF_THE_REPOSITORY.has(error.code)
        add(elsewhere ? 'warning' : 'problem', describe(error))
      }
    }
    if (found.length === before) intact += 1
  }
  for (const vmId of await store.vmIds()) {
    try {
      for (const snapshot of (await store.read(vmId)).snapshots) await check(vmId, snapshot)
    } catch (error) {
      found.push({ area: 'snapshots', level: 'problem', message: describe(error) })
    }
  }
  return [{ area: 'snapshots', level: 'ok', message: `${intact} are what was recorded` }, ...found]
}

/**
 * Folders of snapshots without a record.
 *
 * @param isReal the database is; without it every whole snapshot is waiting for the next start
 */
export async function checkOrphans({ orphans }: Core, isReal: boolean): Promise<readonly Finding[]> {
  const found = await orphans.list()
  const waiting = isReal ? [] : found.filter(({ state }) => state === 'whole')
  const rest = found.filter((orphan) => !waiting.includes(orphan))
  return [
    ...(waiting.length === 0
      ? []
      : [
          {
            level: 'ok' as const,
            message: `${waiting.length} snapshots come back when the server is started`,
          },
        ]),
    ...rest.map(({ id, reason, vmId }) => ({
      level: 'warning' as const,
      message: `${id}${vmId === undefined ? '' : ` of VM ${vmId}`}: ${reason}: see \`diskferry orphans list\``,
    })),
    ...(found.length === 0 ? [{ level: 'ok' as const, message: 'there are none' }] : []),
  ].map((finding) => ({ area: 'orphans', ...finding }))
}
