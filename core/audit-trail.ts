import { DiskferryError } from './errors.ts'
import type { Log } from './log.ts'

/** The words of the field `audit`: they are never renamed. */
export type AuditedAction =
  | 'login'
  | 'snapshot.create'
  | 'snapshot.delete'
  | 'snapshot.purge'
  | 'snapshot.retention'
  | 'lease.take'
  | 'lease.release'
  | 'orphan.adopt'
  | 'orphan.remove'

/** Who did it and to what. */
export interface AuditFields {
  /** Null for the program itself. */
  user: unknown
  /** The address of who asked; null on the host itself. */
  readonly client: string | null
  vm?: string | undefined
  snapshot?: string | undefined
  holder?: string | undefined
  expires_at?: string
  readonly [more: string]: unknown
}

const MAX_LOGGED_NAME = 256
const REFUSALS: ReadonlySet<string> = new Set(['LOGIN_REFUSED', 'LOGIN_LIMITED', 'LOGIN_BUSY'])

/** One line for each change: who did what to which VM, from where, and what came of it. */
export class AuditTrail {
  readonly #log: Pick<Log, 'info'>

  /** @param log one that lets every line through */
  constructor(log: Pick<Log, 'info'>) {
    this.#log = log
  }

  /** Does what is asked and writes its line. @param fields may be completed by `work` */
  async of<Result>(action: AuditedAction, fields: AuditFields, work: () => Promise<Result>): Promise<Result> {
    let result: Result
    try {
      result = await work()
    } catch (error) {
      this.failed(action, fields, error instanceof DiskferryError ? error.code : 'INTERNAL')
      throw error
    }
    this.#write(action, { outcome: 'ok' }, fields)
    return result
  }

  failed(action: AuditedAction, fields: AuditFields, code: string): void {
    this.#write(action, { outcome: REFUSALS.has(code) ? 'refused' : 'failed', code }, fields)
  }

  #write(action: AuditedAction, outcome: object, fields: AuditFields): void {
    this.#log.info({ audit: action, ...outcome, ...shortened(fields) }, 'audit')
  }
}

/** Names come from the client, who may send 16 KiB of them. */
function shortened(fields: AuditFields): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      typeof value === 'string' ? value.slice(0, MAX_LOGGED_NAME) : value,
    ]),
  )
}
