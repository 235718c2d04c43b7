import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Agent } from 'undici'
import { DiskferryError } from '../../core/errors.ts'
import { SharedMetrics, SharedReadiness } from '../../core/shared-probes.ts'
import { deferred } from '../support/deferred.ts'
import { FakeServices } from './support/fake-services.ts'
import { ApiServer } from './support/server.ts'

const STRANGER = { authorization: null }
const CALLS = 200
/** Longer than the test. */
const FRESH_MS = 600_000
/** Few handshakes, which would take longer than all the rest. */
const CROWD = { connections: 10, pipelining: 20 }

/** The API over work that counts how often it is begun, and goes on when it is told to. */
async function slowServer() {
  const begun = { inventory: 0, metrics: 0 }
  const [first, release] = [deferred(), deferred()]
  let failure: Error | undefined
  const work = async (what: keyof typeof begun) => {
    begun[what] += 1
    first.resolve()
    await release.promise
    if (failure !== undefined) throw failure
  }
  const inventory = {
    name: 'slow',
    read: async () => {
      await work('inventory')
      return { repositories: [], vms: [], problems: [] }
    },
  }
  const store = { read: async (vmId: string) => ({ version: 1 as const, vmId, snapshots: [] }) }
  const metrics = {
    render: async () => {
      await work('metrics')
      return '# TYPE one counter\none 1\n'
    },
  }
  const server = await ApiServer.start({
    services: {
      ...new FakeServices().services,
      readiness: new SharedReadiness(store, inventory, FRESH_MS),
      metrics: new SharedMetrics(metrics, FRESH_MS),
    },
  })
  const fail = (error: Error) => {
    failure = error
  }
  return { server, begun, first, release, fail }
}

describe('what strangers may ask for', () => {
  for (const [path, what] of [
    ['/readyz', 'inventory'],
    ['/metrics', 'metrics'],
  ] as const) {
    it(`GET ${path}: ${CALLS} at the same time are one look, which none of them ends by going away`, async () => {
      const { server, begun, first, release } = await slowServer()
      await using _server = server
      const agent = new Agent({ ...CROWD, connect: { ca: server.certificates.cert } })
      const leaving = new AbortController()
      const left = server.agent.request({
        origin: server.url,
        path,
        method: 'GET',
        signal: leaving.signal,
      })
      await first.promise
      const asked = Array.from({ length: CALLS }, () =>
        agent.request({ origin: server.url, path, method: 'GET' }),
      )
      leaving.abort()
      await assert.rejects(left)
      release.resolve()
      for (const { statusCode, body } of await Promise.all(asked)) {
        assert.equal(statusCode, 200)
        await body.dump()
      }
      assert.equal((await server.send(path, STRANGER)).status, 200)
      assert.equal(begun[what], 1)
      await agent.destroy()
    })
  }

  it('GET /readyz: all who ask are told of the one failure, and no path', async () => {
    const { server, begun, release, fail } = await slowServer()
    await using _server = server
    fail(new DiskferryError('INVENTORY_UNREADABLE', '/etc/ovs-agent/db is not readable'))
    release.resolve()
    const answers = await Promise.all(Array.from({ length: 5 }, () => server.send('/readyz', STRANGER)))
    for (const answer of answers) {
      assert.equal(answer.status, 503)
      assert.doesNotMatch(answer.body.toString(), /\/etc/)
    }
    assert.equal(begun.inventory, 1)
  })
})
