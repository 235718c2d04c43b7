import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { describedRoutes, examplePath, type RouteName } from './support/routes.ts'
import { ApiServer, SECRET } from './support/server.ts'
import { makeToken, makeUnsignedToken, now } from './support/tokens.ts'

const LATER = now() + 3600
const CLAIMS = { exp: LATER, iss: 'diskferry', user: 'admin' }

/** What a stranger may send in place of a good `Authorization`, and what the answer says about it. */
const REFUSED: readonly (readonly [string, string | null, RegExp])[] = [
  ['no header', null, /no token.*auth\/login/s],
  ['an empty header', '', /malformed/],
  ['another scheme', `Basic ${Buffer.from('admin:admin').toString('base64')}`, /malformed/],
  ['a scheme without a token', 'Bearer', /malformed/],
  ['a token without a scheme', makeToken(CLAIMS, SECRET), /malformed/],
  ['two tokens', `Bearer ${makeToken(CLAIMS, SECRET)} x`, /malformed/],
  ['garbage', 'Bearer garbage', /malformed.*Log in/s],
  ['three dots of garbage', 'Bearer a.b.c', /malformed.*Log in/s],
  ['alg none', `Bearer ${makeUnsignedToken(CLAIMS)}`, /Log in/],
  ['alg none, signed', `Bearer ${makeToken(CLAIMS, SECRET, { alg: 'none' })}`, /Log in/],
  ['HS512', `Bearer ${makeToken(CLAIMS, SECRET, { alg: 'HS512', typ: 'JWT' }, 'sha512')}`, /Log in/],
  ['HS384', `Bearer ${makeToken(CLAIMS, SECRET, { alg: 'HS384', typ: 'JWT' }, 'sha384')}`, /Log in/],
  ['RS256 with the secret as the key', `Bearer ${makeToken(CLAIMS, SECRET, { alg: 'RS256' })}`, /Log in/],
  ['no algorithm', `Bearer ${makeToken(CLAIMS, SECRET, { typ: 'JWT' })}`, /Log in/],
  ['expired', `Bearer ${makeToken({ ...CLAIMS, exp: now() - 31 }, SECRET)}`, /has expired.*Log in/s],
  ['not valid yet', `Bearer ${makeToken({ ...CLAIMS, nbf: LATER }, SECRET)}`, /not valid yet/],
  ['no exp', `Bearer ${makeToken({ user: 'admin' }, SECRET)}`, /no time of expiry/],
  ['exp null', `Bearer ${makeToken({ ...CLAIMS, exp: null }, SECRET)}`, /Log in/],
  ['exp as text', `Bearer ${makeToken({ ...CLAIMS, exp: String(LATER) }, SECRET)}`, /Log in/],
  ['another secret', `Bearer ${makeToken(CLAIMS, `${SECRET}!`)}`, /signature.*Log in/s],
  ['an empty secret', `Bearer ${makeToken(CLAIMS, '')}`, /signature.*Log in/s],
  ['claims that are no object', `Bearer ${makeToken([], SECRET)}`, /Log in/],
]

describe('authentication', () => {
  let server: ApiServer
  let guarded: readonly RouteName[]

  before(async () => {
    server = await ApiServer.start()
    const unknown = { method: 'GET', path: '/api/v1/nothing', public: false }
    const unknownMethod = { method: 'PATCH', path: '/api/v1/vms', public: false }
    const undecodable = { method: 'GET', path: '/api/v1/vms/%zz', public: false }
    const described = describedRoutes(server.app).filter((route) => !route.public)
    assert.ok(described.length >= 11, `only ${described.length} routes are guarded`)
    guarded = [...described, unknown, unknownMethod, undecodable]
  })
  after(() => server[Symbol.asyncDispose]())

  for (const [name, authorization, details] of REFUSED) {
    it(`refuses ${name} on every route that is not public, and asks no service`, async () => {
      for (const route of guarded) {
        const answer = await server.send(examplePath(route), { method: route.method, authorization })
        const where = `${route.method} ${route.path}`
        assert.equal(answer.status, 401, where)
        assert.equal(answer.headers['www-authenticate'], 'Bearer realm="diskferry"', where)
        assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8', where)
        if (route.method === 'HEAD') continue
        const body = answer.refusal()
        assert.deepEqual([body.error, body.code], ['Authentication failed', 'TOKEN_INVALID'], where)
        assert.match(body.details, details, where)
      }
      assert.deepEqual(server.fake.calls, [])
    })
  }

  it('lets nobody in by naming two headers', async () => {
    const answer = await server.send('/api/v1/vms', {
      authorization: 'Bearer garbage',
      headers: { cookie: `token=${server.token}`, 'proxy-authorization': `Bearer ${server.token}` },
    })
    assert.equal(answer.status, 401)
  })

  it('answers health and documentation without a token', async () => {
    for (const path of [
      '/healthz',
      '/readyz',
      '/docs',
      '/docs/',
      '/docs/json',
      '/docs/static/swagger-ui.css',
    ]) {
      assert.equal((await server.send(path, { authorization: null })).status, 200, path)
    }
  })

  it('takes the scheme in any case', async () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR', 'Bearer ']) {
      const answer = await server.send('/api/v1/vms', { authorization: `${scheme} ${server.token}` })
      assert.equal(answer.status, 200, scheme)
    }
  })

  it('takes a token that the ancestor signed with the same secret', async () => {
    const token = makeToken({ user: 'admin', exp: LATER, iss: 'another-issuer' }, SECRET)
    assert.equal((await server.send('/api/v1/vms', { authorization: `Bearer ${token}` })).status, 200)
  })

  it('asks for the token before it looks at a body', async () => {
    const answer = await server.send('/api/v1/vms/x/snapshots', {
      method: 'POST',
      body: Buffer.alloc(70_000),
      authorization: null,
    })
    assert.equal(answer.status, 401)
  })
})
