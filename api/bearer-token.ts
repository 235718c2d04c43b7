import type { JWT } from '@fastify/jwt'
import { DiskferryError } from '../core/errors.ts'

/** What a verified token says. Tokens of the ancestor have the same claims and another issuer. */
export interface TokenClaims {
  readonly user?: unknown
  readonly exp: number
}

const LOG_IN = 'Log in with POST /api/v1/auth/login'
const HEADER = 'send the header Authorization: Bearer <token>'

/** By the code of fast-jwt's error; what is not here is a token that was not made for this server. */
const REFUSALS: Readonly<Record<string, string>> = {
  FAST_JWT_EXPIRED: `The token has expired. ${LOG_IN} again.`,
  FAST_JWT_INACTIVE: `The token is not valid yet: compare the clocks of client and host. ${LOG_IN} again.`,
  FAST_JWT_INVALID_SIGNATURE: `The token's signature is not of this server, or its secret has changed. ${LOG_IN} again.`,
  FAST_JWT_MALFORMED: `The token is malformed. ${LOG_IN} again and send the token whole.`,
  FAST_JWT_MISSING_REQUIRED_CLAIM: `The token has no time of expiry, so it is not accepted. ${LOG_IN}.`,
}

function refusal(details: string, cause?: unknown): DiskferryError {
  return new DiskferryError('TOKEN_INVALID', details, cause === undefined ? {} : { cause })
}

/**
 * Verifies what an Authorization header holds.
 * @throws TOKEN_INVALID saying what is wrong with it and what to do
 */
export function verifyBearerToken(jwt: JWT, authorization: string | undefined): TokenClaims {
  if (authorization === undefined) throw refusal(`The request has no token. ${LOG_IN} and ${HEADER}.`)
  const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1]
  if (token === undefined) throw refusal(`The Authorization header is malformed: ${HEADER}.`)
  try {
    return jwt.verify<TokenClaims>(token)
  } catch (error) {
    const { code } = error as { code?: unknown }
    const known = typeof code === 'string' ? REFUSALS[code] : undefined
    throw refusal(known ?? `The token is not one that this server gives. ${LOG_IN} again.`, error)
  }
}
