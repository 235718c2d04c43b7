import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { snapshotJson } from '../../api/snapshot-json.ts'
import type { Chunk } from '../../core/services.ts'
import { snapshotMap, VM } from './support/fake-services.ts'
import { rawConnection } from './support/raw-request.ts'
import { ApiServer } from './support/server.ts'

const CHUNKS = 1_000_000
const PATH = `/api/v1/vms/${VM.name}/snapshots/large`

/** Chunks made as they are asked for, counted. */
class CountedChunks implements Iterable<Chunk> {
  *[Symbol.iterator](): Generator<Chunk> {
    for (let index = 0; index < CHUNKS; index += 1) {
      this.made += 1
      yield { start: index * 1_048_576, length: 4096, physicalStart: index * 40_960, zero: index % 5 === 0 }
    }
  }

  made = 0
}

async function expectedHash(chunks: Iterable<Chunk>): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of snapshotJson(snapshotMap('large', VM.name, [{ chunks }]))) hash.update(piece)
  return hash.digest('hex')
}

function usedBytes(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe('a snapshot with a million chunks', { timeout: 120_000 }, () => {
  let server: ApiServer
  let chunks: CountedChunks

  before(async () => {
    server = await ApiServer.start()
    chunks = new CountedChunks()
    server.fake.snapshots.set('large', snapshotMap('large', VM.name, [{ chunks }]))
  })
  after(() => server[Symbol.asyncDispose]())

  it('is streamed whole, in flat memory, while the event loop stays free', async () => {
    const curl = spawn(
      'curl',
      ['-sk', '-H', `Authorization: Bearer ${server.token}`, `${server.url}${PATH}`],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const curlEnd = once(curl, 'close').then(([code]) => code as number)
    const hash = createHash('sha256')
    let bytes = 0
    let peak = 0
    const before = usedBytes()
    const delay = monitorEventLoopDelay({ resolution: 5 })
    delay.enable()
    for await (const data of curl.stdout) {
      hash.update(data)
      bytes += data.length
      peak = Math.max(peak, usedBytes())
    }
    delay.disable()
    const grown = Math.round((peak - before) / 1e6)
    const longest = Math.round(delay.max / 1e6)
    assert.equal(await curlEnd, 0)
    assert.ok(bytes > 60e6, `${bytes} bytes`)
    // The text alone has 68 MB, and as much again as bytes.
    assert.ok(grown < 100, `memory grew by ${grown} MB`)
    // Other processes share the processor; the whole text at once takes most of a second without them.
    assert.ok(longest < 500, `the event loop stood still for ${longest} ms`)
    assert.equal(hash.digest('hex'), await expectedHash(chunks))
  })

  it('takes less than 50 ms of processor time for each piece', async () => {
    let longest = 0
    let started = process.cpuUsage()
    for await (const piece of snapshotJson(snapshotMap('large', VM.name, [{ chunks }]))) {
      assert.ok(piece.length > 0)
      const { user, system } = process.cpuUsage(started)
      longest = Math.max(longest, (user + system) / 1000)
      started = process.cpuUsage()
    }
    assert.ok(longest < 50, `${longest} ms`)
  })

  it('is not made ahead for a client that does not read', async () => {
    chunks.made = 0
    const socket = await rawConnection(server)
    socket.pause()
    socket.write(`GET ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.token}\r\n\r\n`)
    let seen = -1
    // Nothing tells that no more is made: the buffers of the kernel fill first, as they like.
    while (chunks.made !== seen || seen < 1) {
      seen = chunks.made
      await sleep(250)
    }
    assert.ok(seen < CHUNKS / 3, `${seen} chunks made`)
    const closed = once(socket, 'close')
    socket.destroy()
    await closed
    await server.until(() => server.entries().some((entry) => entry.aborted === true))
    assert.ok(chunks.made < CHUNKS / 3, `${chunks.made} chunks made`)
  })
})
