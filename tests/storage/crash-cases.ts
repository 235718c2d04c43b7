import type { FaultPoint } from '../../core/fault-points.ts'

export type CrashCase = FaultPoint | `${FaultPoint}:${number}`

/**
 * Which step is killed in which operation. The VM has a disk in each of two repositories, so most steps are passed
 * twice. Clones are also made by the checks of both repositories, two at the start and two before a snapshot: the
 * fifth is that of the first disk.
 */
export const CRASH_CASES = {
  create: [
    'create.recorded',
    'create.folder-made',
    'create.folder-made:2',
    'create.marked-unfinished',
    'create.marked-unfinished:2',
    'clone.hidden:5',
    'clone.hidden:6',
    'clone.filled:5',
    'clone.named:5',
    'clone.named:6',
    'create.cloned',
    'create.cloned:2',
    'create.manifest-half',
    'create.manifest-half:2',
    'create.manifest-written',
    'create.manifest-named',
    'create.manifest-named:2',
    'create.synced',
    'create.synced:2',
    'create.mapped',
    'create.ready',
  ],
  delete: [
    'delete.marked',
    'remove.retired',
    'remove.retired:2',
    'remove.file',
    'remove.file:2',
    'remove.file:3',
    'remove.emptied',
    'remove.folder',
    'remove.folder:2',
    'remove.synced',
    'remove.synced:2',
    'delete.removed',
    'delete.forgotten',
  ],
  purge: ['delete.marked', 'delete.removed', 'purge.next'],
  rollback: ['remove.retired', 'remove.file:2', 'remove.synced', 'rollback.removed', 'rollback.forgotten'],
  recovery: [
    'recover.found',
    'remove.retired',
    'remove.retired:2',
    'remove.file',
    'remove.emptied',
    'remove.folder',
    'remove.synced',
    'recover.removed',
    'recover.forgotten',
  ],
  trial: ['trial.written', 'trial.written:2', 'trial.cloned', 'clone.hidden', 'clone.filled', 'clone.named'],
  rebuild: [
    'database.broken-aside',
    'database.journal-aside',
    'rebuild.begun',
    'rebuild.read',
    'rebuild.read:2',
    'rebuild.recorded',
    'rebuild.recorded:2',
    'rebuild.recorded:3',
    'rebuild.marked',
    'rebuild.marked:2',
  ],
} as const satisfies Readonly<Record<string, readonly CrashCase[]>>
