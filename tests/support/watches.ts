import { statfs } from 'node:fs/promises'
import type { Log } from '../../core/log.ts'
import { MountWatches } from '../../core/mounts/mount-watches.ts'
import { readMounts } from '../../native/index.ts'

const PATIENCE_MS = 10_000
const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }

/** Over this machine's real mounts. */
export function makeWatches(): MountWatches {
  return new MountWatches({ list: readMounts }, { patienceMs: PATIENCE_MS, ask: statfs, log: SILENT })
}
