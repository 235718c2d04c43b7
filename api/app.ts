import { randomUUID } from 'node:crypto'
import type { Server } from 'node:http'
import {
  type FastifyHttpOptions,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  fastify,
} from 'fastify'
import type { Logger } from 'pino'
import type { Audits } from '../core/audit/audit.ts'
import type { Leases } from '../core/leases/lease.ts'
import type { Metrics } from '../core/metrics/metrics.ts'
import type { Authenticator, Readiness, Repositories, Snapshots, VirtualMachines } from '../core/services.ts'
import { LimitedAuthenticator } from './auth/limited-authenticator.ts'
import { verifyBearerToken } from './bearer-token.ts'
import { clientErrorHandler } from './client-error.ts'
import { limitConnections } from './connection-limit.ts'
import { DrainedConnections } from './drained-connections.ts'
import { type ApiLimits, DEFAULT_LIMITS } from './limits.ts'
import { RequestLogController } from './log-controller.ts'
import { authentication, type JwtOptions } from './plugins/authentication.ts'
import { bodies } from './plugins/bodies.ts'
import { errors, sendError } from './plugins/errors.ts'
import { hostHeader } from './plugins/host-header.ts'
import { openapi } from './plugins/openapi.ts'
import { requestLogging, trackRequest } from './plugins/request-logging.ts'
import { requestSignal } from './plugins/request-signal.ts'
import { abortAuditRoute, auditRoutes } from './routes/audits.ts'
import { diskRoutes } from './routes/disks.ts'
import { healthRoutes } from './routes/health.ts'
import { leaseRoutes } from './routes/leases.ts'
import { loginRoute } from './routes/login.ts'
import { metricsRoute } from './routes/metrics.ts'
import { repositoryRoutes } from './routes/repositories.ts'
import { snapshotRoutes } from './routes/snapshots.ts'
import { vmRoutes } from './routes/vms.ts'
import {
  BODY_LIMIT_BYTES,
  KEEP_ALIVE_TIMEOUT_MS,
  REQUEST_TIMEOUT_MS,
  serverOptions,
  type TlsOptions,
} from './server-options.ts'

export interface ApiServices {
  readonly virtualMachines: VirtualMachines
  readonly repositories: Repositories
  readonly snapshots: Snapshots
  readonly audits: Audits
  readonly metrics: Metrics
  readonly leases: Leases
  readonly readiness: Readiness
  readonly authenticator: Authenticator
}

export interface ApiOptions {
  readonly services: ApiServices
  readonly jwt: JwtOptions
  /** Without it the server speaks plain HTTP. */
  readonly tls?: TlsOptions
  readonly logger: Logger
  readonly limits?: Partial<ApiLimits>
}

/** The longest header that node accepts, so that the length of a name is judged by its schema. */
const MAX_PARAMETER_CHARACTERS = 16 * 1024
const PREFIX = '/api/v1'

/** A path that cannot be decoded never reaches a hook. Who asks without a token learns no more than elsewhere. */
function badUrl(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  trackRequest(request, reply)
  let refusal = error
  try {
    request.user = verifyBearerToken(request.server.jwt, request.headers.authorization)
  } catch (tokenError) {
    refusal = tokenError
  }
  sendError(refusal, request, reply)
}

function createApp({ tls, logger }: ApiOptions, limits: ApiLimits): FastifyInstance {
  const connections = new DrainedConnections()
  const options: FastifyServerOptions = {
    loggerInstance: logger,
    logController: new RequestLogController(),
    genReqId: () => randomUUID(),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    exposeHeadRoutes: false,
    // While draining, requests on open connections are answered, each the last of its connection.
    return503OnClosing: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARAMETER_CHARACTERS },
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    frameworkErrors: badUrl,
    clientErrorHandler: clientErrorHandler(logger, connections.answers),
  }
  // The type of an instance names its server, http or https; nothing here depends on which.
  const app: FastifyInstance = fastify({ ...options, ...serverOptions(tls) } as FastifyHttpOptions<Server>)
  connections.watch(app.server)
  app.addHook('preClose', async () => connections.drain())
  limitConnections(app.server, limits.connectionsPerClient, logger)
  // An expectation that nobody here knows is no reason to refuse a request; node would, with an empty answer.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  return app
}

/**
 * Builds the REST API. It does not listen: that is for who starts the program.
 * @throws CONFIG_INVALID for TLS options that contradict each other; node's errors for a bad certificate or key
 */
export async function buildApp(options: ApiOptions): Promise<FastifyInstance> {
  const { virtualMachines, repositories, snapshots, leases, readiness, authenticator } = options.services
  const { audits, metrics } = options.services
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const app = createApp(options, limits)
  // Hooks run in this order: a request is named, logged and abortable before it is refused.
  await app.register(requestLogging)
  await app.register(requestSignal)
  await app.register(errors)
  await app.register(hostHeader)
  await app.register(bodies)
  await app.register(authentication, options.jwt)
  await app.register(openapi)
  await app.register(healthRoutes, { readiness })
  await app.register(metricsRoute, { metrics })
  await app.register(loginRoute, {
    prefix: PREFIX,
    authenticator: new LimitedAuthenticator(authenticator, limits),
  })
  await app.register(vmRoutes, { prefix: PREFIX, virtualMachines })
  await app.register(snapshotRoutes, { prefix: PREFIX, snapshots })
  await app.register(leaseRoutes, { prefix: PREFIX, leases })
  await app.register(diskRoutes, {
    prefix: PREFIX,
    snapshots,
    downloadsPerClient: limits.downloadsPerClient,
  })
  await app.register(auditRoutes, { prefix: PREFIX, audits })
  await app.register(abortAuditRoute, { prefix: PREFIX, audits })
  await app.register(repositoryRoutes, { prefix: PREFIX, repositories })
  await app.ready()
  return app
}
