import assert from 'node:assert/strict'
import { subscribe } from 'node:diagnostics_channel'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FastifyRequest } from 'fastify'
import { pino } from 'pino'
import { buildApp } from '../../api/app.ts'
import { hashPassword } from '../../api/auth/password-hash.ts'
import { UsersAuthenticator } from '../../api/auth/users-authenticator.ts'
import { makeCore, makeDisk } from '../support/core.ts'
import { Random } from '../support/random.ts'
import { storageTest } from '../support/storage-test.ts'
import { fuzzMilliseconds, fuzzSeed } from './budget.ts'
import { type KnownNames, makeRequest, routesOf } from './requests.ts'

const MIB = 1024 * 1024
const SHARE = 0.3
/** For one request, on a machine that does other work as well. */
const HANG_MS = 15_000
const PATIENCE_MS = 150
const MAX_GROWTH_BYTES = 48 * MIB
const SHOWN_BYTES = 3000
/** Each route is reached by so many, whatever the seed. */
const PATIENT_REQUESTS = 5000

/** Sends bytes as they are and gives all that is answered. */
function exchange(port: number, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const hang = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no answer in ${HANG_MS} ms`))
    }, HANG_MS)
    // A server waits for the rest of a request that is not whole: then it is told that there is none.
    const patience = setTimeout(() => socket.end(), PATIENCE_MS)
    socket.on('data', (piece: Buffer) => pieces.push(piece))
    // A server that refuses a request may close before it has read all of it.
    socket.on('error', () => undefined)
    socket.once('close', () => {
      clearTimeout(hang)
      clearTimeout(patience)
      resolve(Buffer.concat(pieces))
    })
    socket.once('end', () => socket.destroy())
    socket.write(request)
  })
}

/** What is wrong with an answer; undefined when it is one that a client can make something of. */
function faultOf(answer: Buffer, mount: string): string | undefined {
  if (answer.length === 0) return undefined
  const text = answer.toString('latin1')
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1])
  if (!(status >= 100)) return 'it is not HTTP'
  if (status >= 500) return `its status is ${status}`
  if (status < 400) return undefined
  const body = text.slice(text.indexOf('\r\n\r\n') + 4)
  if (body === '') return undefined
  if (!/"error":".*"details":".*"code":"[A-Z_]+"/s.test(body)) return 'its body is not that of an error'
  return body.includes(mount) && status !== 400 ? 'it names a path of the host' : undefined
}

function memoryInUse(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

storageTest(
  'xfs',
  'whatever is sent to any route, there is an answer, no 5xx and no growth of memory',
  async ({ mount, filesystem, t }) => {
    const disk = await makeDisk(mount, 'disk.img', 2 * MIB, [[MIB, Buffer.alloc(4096, 1)]])
    await using core = await makeCore({
      mounts: [mount],
      vms: [{ name: 'vm-1', disks: [disk] }],
      dbFile: join(filesystem.image, '..', 'fuzz.db'),
    })
    const costs = { logN: 13, blockSize: 8, parallelism: 1 }
    const passwordHash = await hashPassword('correct horse', costs)
    await using app = await buildApp({
      services: {
        virtualMachines: core.vms,
        repositories: core.repositories,
        snapshots: core.snapshots,
        audits: core.audits,
        metrics: core.metrics,
        leases: core.leases,
        readiness: { check: async () => undefined },
        authenticator: new UsersAuthenticator([{ username: 'backup', passwordHash }]),
      },
      jwt: { secret: 's'.repeat(40), timeToLiveSeconds: 3600 },
      logger: pino({ level: 'silent' }),
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const port = Number(new URL(app.listeningOrigin).port)
    const token = app.jwt.sign({ user: 'fuzz' })
    const routes = routesOf(app)
    /** What a request got as far as, past the checks of its form: `GET /api/v1/vms/{vm}`. */
    const reached = new Set<string>()
    subscribe('tracing:fastify.request.handler:start', (message) => {
      const { method, routeOptions } = (message as { readonly request: FastifyRequest }).request
      reached.add(`${method} ${routeOptions.url?.replaceAll(/:(\w+)/g, '{$1}')}`)
    })
    const missing = () =>
      routes.map(({ method, path }) => `${method} ${path}`).filter((route) => !reached.has(route))
    const seed = fuzzSeed()
    const random = new Random(seed)
    const whole = { squash: true }
    const statuses = new Map<string, number>()
    /** What has a body: that it is refused for its form alone proves nothing. */
    const taken = new Set<string>()
    const began = performance.now()
    const end = began + fuzzMilliseconds(SHARE)
    let early: number | undefined
    let sent = 0
    // A machine that is busy otherwise takes longer to get to each route.
    while (performance.now() < end || (missing().length > 0 && sent < PATIENT_REQUESTS)) {
      if (early === undefined && performance.now() > began + (end - began) / 3) early = memoryInUse()
      // Requests make and delete some as well.
      let ids = await core.store.read('vm-1').then(({ snapshots }) => snapshots.map(({ id }) => id))
      if (ids.length > 8) await core.snapshots.purge('vm-1', { force: true })
      if (ids.length < 2 || ids.length > 8) {
        await core.snapshots.create('vm-1', whole)
        ids = [(await core.snapshots.create('vm-1', whole)).id]
      }
      const names: KnownNames = { vm: ['vm-1'], snapshot: ids, disk: ['disk.img'], token }
      for (let turn = 0; turn < 20; turn += 1) {
        const request = makeRequest(routes, names, random)
        const answer = await exchange(port, request).catch((error: Error) => error)
        const fault = answer instanceof Error ? answer.message : faultOf(answer, mount)
        if (fault !== undefined) {
          assert.fail(
            `FUZZ_SEED=${seed}, request ${sent}: ${fault}\n${JSON.stringify(request.toString('latin1').slice(0, SHOWN_BYTES))}\n${answer.toString().slice(0, SHOWN_BYTES)}`,
          )
        }
        const status = answer.toString('latin1', 9, 12) || 'closed'
        const made = /^(?:PUT|POST) \S+\/(lease|audit)[ ?]/.exec(request.toString('latin1'))?.[1]
        if (made !== undefined && status.startsWith('2')) taken.add(made)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        sent += 1
      }
    }
    const growth = memoryInUse() - (early ?? 0)
    const seen = [...statuses].toSorted().map(([status, count]) => `${status}: ${count}`)
    t.diagnostic(`seed ${seed}: ${sent} requests (${seen.join(', ')}), memory ${growth} bytes`)
    assert.ok(statuses.has('200') && statuses.has('404') && statuses.has('400'), seen.join(', '))
    assert.deepEqual(missing(), [], 'no request got as far as these routes')
    if (sent > 1000) assert.deepEqual([...taken].sort(), ['audit', 'lease'])
    if (early !== undefined) assert.ok(growth < MAX_GROWTH_BYTES, `memory grew by ${growth} bytes`)
  },
  { timeoutMs: 180_000 + 2 * fuzzMilliseconds(SHARE) },
)
