import type { FastifyPluginAsync } from 'fastify'
import { DiskferryError } from '../../core/errors.ts'
import { audited } from '../audit-log.ts'
import type { LimitedAuthenticator } from '../auth/limited-authenticator.ts'
import { type LoginBody, loginBody, loginResponse } from '../schemas/login.ts'
import { errorResponses } from '../schemas/responses.ts'

/** The parser's own message would quote the body, which holds a password: it goes nowhere. */
function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw new DiskferryError(
      'INVALID_REQUEST',
      'The body is not JSON in UTF-8. Send {"username": "...", "password": "..."}.',
    )
  }
}

export interface LoginRouteOptions {
  readonly authenticator: LimitedAuthenticator
}

export const loginRoute: FastifyPluginAsync<LoginRouteOptions> = async (app, { authenticator }) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) =>
    parseJson(body),
  )
  app.post<{ Body: LoginBody }>(
    '/auth/login',
    {
      config: { public: true, audit: 'login' },
      schema: {
        operationId: 'login',
        summary: 'Exchange a user name and a password for a token',
        security: [],
        body: loginBody,
        response: { 200: loginResponse, ...errorResponses },
      },
    },
    async (request) => {
      const { username, password } = request.body
      await audited(request, {}, () =>
        authenticator.authenticate(username, password, request.ip, request.clientSignal),
      )
      return { token: app.jwt.sign({ user: username }) }
    },
  )
}
