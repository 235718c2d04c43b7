import type { FastifyRequest } from 'fastify'
import { DiskferryError } from '../core/errors.ts'

/** The words of the field `audit`: they are never renamed. */
export type AuditedAction =
  | 'login'
  | 'snapshot.create'
  | 'snapshot.delete'
  | 'snapshot.purge'
  | 'lease.take'
  | 'lease.release'

const MAX_LOGGED_NAME = 256

/**
 * Does what is asked and puts one line about it into the log, with `audit`, `outcome` (`ok`, `refused`, `failed`), `user`
 * and `client`: who did what to which VM, from where.
 *
 * @param fields what it was done to; may be completed by `work`
 */
export async function audited<Result>(
  request: FastifyRequest,
  action: AuditedAction,
  fields: object,
  work: () => Promise<Result>,
): Promise<Result> {
  const { log } = request
  // A higher log_level must not leave out who did what.
  const trail = log.level === 'silent' ? log : log.child({}, { level: 'info' })
  const line = (outcome: string, code?: string) =>
    trail.info(
      {
        audit: action,
        outcome,
        ...(code !== undefined && { code }),
        user: request.user?.user ?? null,
        client: request.ip,
        ...shortened(fields),
      },
      'audit',
    )
  let result: Result
  try {
    result = await work()
  } catch (error) {
    const code = error instanceof DiskferryError ? error.code : 'INTERNAL'
    line(REFUSALS.has(code) ? 'refused' : 'failed', code)
    throw error
  }
  line('ok')
  return result
}

const REFUSALS: ReadonlySet<string> = new Set(['LOGIN_REFUSED', 'LOGIN_LIMITED', 'LOGIN_BUSY'])

/** Names come from the client, who may send 16 KiB of them. */
function shortened(fields: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      typeof value === 'string' ? value.slice(0, MAX_LOGGED_NAME) : value,
    ]),
  )
}
