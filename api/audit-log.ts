import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { type AuditedAction, type AuditFields, AuditTrail } from '../core/audit-trail.ts'
import { errorAnswer } from './error-answer.ts'
import type { SnapshotParams } from './schemas/params.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A request to this route leaves a line about what came of it. */
    readonly audit?: AuditedAction
  }
}

/** Requests whose line is written, or is for `audited` to write. */
const AUDITED = new WeakSet<FastifyRequest>()

/** A higher log_level must not leave out who did what. */
export function auditTrail(log: FastifyBaseLogger): AuditTrail {
  return new AuditTrail(log.level === 'silent' ? log : log.child({}, { level: 'info' }))
}

/**
 * Does what is asked of a route that names its `audit`, and puts one line about it into the log.
 *
 * @param more than the path names; all may be completed by `work`
 */
export function audited<Result>(
  request: FastifyRequest,
  more: Partial<AuditFields>,
  work: (fields: AuditFields) => Promise<Result>,
): Promise<Result> {
  AUDITED.add(request)
  const fields: AuditFields = { ...whoAndWhat(request), ...more }
  return auditTrail(request.log).of(request.routeOptions.config.audit!, fields, () => work(fields))
}

/** The line of a request that is refused before any work: for its body, its query, its path. */
export function auditRefusal(request: FastifyRequest, error: unknown): void {
  const { audit, public: isPublic } = request.routeOptions.config
  if (audit === undefined || AUDITED.has(request)) return
  // A stranger without a token has only the line of every request.
  if (request.user === null && isPublic !== true) return
  auditTrail(request.log).failed(audit, whoAndWhat(request), errorAnswer(error, request.id).body.code)
}

function whoAndWhat({ user, ip, params, body, routeOptions }: FastifyRequest): AuditFields {
  const { vm, snapshot } = (params ?? {}) as Partial<SnapshotParams>
  const sent = routeOptions.config.audit === 'login' ? (body as { username?: unknown } | null) : null
  const name = user?.user ?? sent?.username
  return { user: typeof name === 'string' ? name : null, client: ip, vm, snapshot }
}
