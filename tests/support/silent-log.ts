import type { Log } from '../../core/log.ts'

/** For whom no test listens to. */
export const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }
