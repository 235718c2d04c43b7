import fastifyJwt from '@fastify/jwt'
import fastifyPlugin from 'fastify-plugin'
import { type TokenClaims, verifyBearerToken } from '../bearer-token.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered without a token. */
    readonly public?: boolean
  }
}

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: { readonly user: string }
    user: TokenClaims | null
  }
}

export interface JwtOptions {
  /** As text: its UTF-8 bytes are the key, as in the ancestor. */
  readonly secret: string
  readonly timeToLiveSeconds: number
}

/** Signs tokens, and asks every request for one but those to public routes. An unknown route is not public. */
export const authentication = fastifyPlugin<JwtOptions>(
  async (app, { secret, timeToLiveSeconds }) => {
    await app.register(fastifyJwt, {
      secret,
      sign: { algorithm: 'HS256', iss: 'diskferry', expiresIn: timeToLiveSeconds },
      verify: { algorithms: ['HS256'], requiredClaims: ['exp'] },
    })
    app.addHook('onRequest', async (request) => {
      if (request.routeOptions.config?.public === true) return
      request.user = verifyBearerToken(app.jwt, request.headers.authorization)
    })
  },
  { name: 'authentication', fastify: '5.x' },
)
