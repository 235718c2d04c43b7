import { statfs } from 'node:fs/promises'
import { MountWatches } from '../../core/mounts/mount-watches.ts'
import { readMounts } from '../../native/index.ts'
import { SILENT } from './silent-log.ts'

const PATIENCE_MS = 10_000

/** Over this machine's real mounts. */
export function makeWatches(): MountWatches {
  return new MountWatches({ list: readMounts }, { patienceMs: PATIENCE_MS, ask: statfs, log: SILENT })
}
