import assert from 'node:assert/strict'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { CREATED_AT, VM } from './support/fake-services.ts'
import { seededRandom } from './support/random.ts'
import { type Answer, ApiServer, type SendOptions } from './support/server.ts'

const SIZE = 3 * 1024 * 1024 + 17
const TAG = `"snap-1-${SIZE}"`
const MODIFIED = 'Thu, 29 Feb 2024 12:34:56 GMT'

function disk(name: string): string {
  return `/api/v1/vms/${VM.name}/snapshots/snap-1/disks/${encodeURIComponent(name)}`
}

/** The ranges and bytes of a multipart/byteranges body, read by its own boundary. */
function parts(answer: Answer): readonly { range: string; bytes: Buffer }[] {
  const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(String(answer.headers['content-type']))![1]!
  const text = answer.body.toString('latin1')
  assert.ok(text.endsWith(`\r\n--${boundary}--\r\n`))
  return text
    .slice(0, -`\r\n--${boundary}--\r\n`.length)
    .split(`\r\n--${boundary}\r\n`)
    .slice(1)
    .map((part) => {
      const end = part.indexOf('\r\n\r\n')
      const head = part.slice(0, end)
      assert.match(head, /^Content-Type: application\/octet-stream\r\n/)
      return {
        range: /\r\nContent-Range: (.+)$/.exec(head)![1]!,
        bytes: Buffer.from(part.slice(end + 4), 'latin1'),
      }
    })
}

// The time limit ends a test after which a disk stays open.
describe('the bytes of a disk', { timeout: 60_000 }, () => {
  let directory: TemporaryDirectory
  let server: ApiServer
  const content = Buffer.alloc(SIZE)

  before(async () => {
    const random = seededRandom(7)
    for (let index = 0; index < SIZE; index += 1) content[index] = Math.floor(random() * 256)
    directory = await temporaryDirectory('api-disks')
    server = await ApiServer.start()
    const path = join(directory.path, 'disk')
    await writeFile(path, content)
    for (const name of ['system.img', 'ä b/c?.img']) server.fake.files.set(name, path)
    const empty = join(directory.path, 'empty')
    await writeFile(empty, '')
    server.fake.files.set('empty.img', empty)
  })
  afterEach(async () => {
    const { statistics } = server.fake
    await server.until(() => statistics.closed === statistics.opened)
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  function get(headers: SendOptions['headers'] = {}, name = 'system.img', method = 'GET'): Promise<Answer> {
    return server.send(disk(name), { method, headers })
  }

  it('come whole with their validators', async () => {
    const answer = await get()
    assert.equal(answer.status, 200)
    assert.ok(answer.body.equals(content))
    const { headers } = answer
    assert.equal(headers['accept-ranges'], 'bytes')
    assert.equal(headers['content-length'], String(SIZE))
    assert.equal(headers['content-type'], 'application/octet-stream')
    assert.equal(headers.etag, TAG)
    assert.equal(headers['last-modified'], MODIFIED)
    assert.equal(headers['content-range'], undefined)
    assert.equal(CREATED_AT.slice(0, 19), new Date(MODIFIED).toISOString().slice(0, 19))
  })

  it('come by a name of any characters, with a trailing slash too', async () => {
    assert.ok((await get({}, 'ä b/c?.img')).body.equals(content))
    assert.ok((await server.send(`${disk('system.img')}/`)).body.equals(content))
  })

  it('come by one range', async () => {
    for (const [range, start, end] of [
      ['bytes=0-0', 0, 1],
      ['bytes=100-199', 100, 200],
      [`bytes=${SIZE - 5}-`, SIZE - 5, SIZE],
      ['bytes=-5', SIZE - 5, SIZE],
      [`bytes=${SIZE - 5}-99999999999`, SIZE - 5, SIZE],
      ['bytes=0-', 0, SIZE],
      [`bytes=-${SIZE + 1}`, 0, SIZE],
      ['bytes=1048575-2097153', 1048575, 2097154],
      ['bytes=5-6,99999999-', 5, 7],
      ['Bytes=,5-6 ,', 5, 7],
    ] as const) {
      const answer = await get({ range })
      assert.equal(answer.status, 206, range)
      assert.equal(answer.headers['content-range'], `bytes ${start}-${end - 1}/${SIZE}`, range)
      assert.equal(answer.headers['content-length'], String(end - start), range)
      assert.equal(answer.headers['content-type'], 'application/octet-stream', range)
      assert.ok(answer.body.equals(content.subarray(start, end)), range)
    }
  })

  it('come by several ranges as multipart/byteranges of the announced length', async () => {
    const answer = await get({ range: 'bytes=2000000-2000009, 0-0 ,-1048580,7777777-' })
    assert.equal(answer.status, 206)
    assert.equal(answer.headers['content-length'], String(answer.body.length))
    assert.equal(answer.headers['content-range'], undefined)
    assert.equal(answer.headers.etag, TAG)
    const [first, second, third, ...others] = parts(answer)
    assert.deepEqual(others, [])
    assert.equal(first?.range, `bytes 2000000-2000009/${SIZE}`)
    assert.ok(first?.bytes.equals(content.subarray(2000000, 2000010)))
    assert.equal(second?.range, `bytes 0-0/${SIZE}`)
    assert.ok(second?.bytes.equals(content.subarray(0, 1)))
    assert.equal(third?.range, `bytes ${SIZE - 1048580}-${SIZE - 1}/${SIZE}`)
    assert.ok(third?.bytes.equals(content.subarray(SIZE - 1048580)))
  })

  it('come by 256 ranges at once', async () => {
    const range = `bytes=${Array.from({ length: 256 }, (_, index) => `${index * 3}-${index * 3 + 1}`).join(',')}`
    const found = parts(await get({ range }))
    assert.equal(found.length, 256)
    for (const [index, { bytes }] of found.entries()) {
      assert.ok(bytes.equals(content.subarray(index * 3, index * 3 + 2)))
    }
  })

  it('are refused with 416 and the size when no range can be served', async () => {
    for (const range of [
      `bytes=${SIZE}-`,
      'bytes=-0',
      'bytes=',
      'bytes=5-4',
      'bytes=x',
      'lines=1-2',
      'bytes=0-,0-',
    ]) {
      const answer = await get({ range })
      assert.equal(answer.status, 416, range)
      assert.equal(answer.headers['content-range'], `bytes */${SIZE}`, range)
      assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8', range)
      const { error, code } = answer.refusal()
      assert.deepEqual([error, code], ['Range Not Satisfiable', 'RANGE_NOT_SATISFIABLE'])
    }
  })

  it('of an empty disk are none: 200 for all of them, 416 for any range', async () => {
    const answer = await get({}, 'empty.img')
    assert.deepEqual([answer.status, answer.headers['content-length'], answer.body.length], [200, '0', 0])
    for (const range of ['bytes=0-', 'bytes=0-0', 'bytes=-1', 'bytes=x']) {
      const refused = await get({ range }, 'empty.img')
      assert.deepEqual([refused.status, refused.headers['content-range']], [416, 'bytes */0'], range)
    }
  })

  it('HEAD is answered as GET, without the body', async () => {
    for (const headers of [
      {},
      { range: 'bytes=1-4' },
      { range: 'bytes=1-4,9-9' },
      { range: 'bytes=x' },
      { 'if-none-match': TAG },
      { 'if-match': '"other"' },
    ]) {
      for (const name of ['system.img', 'empty.img']) {
        const [asked, got] = [await get(headers, name, 'HEAD'), await get(headers, name)]
        const what = `${name} ${JSON.stringify(headers)}`
        assert.equal(asked.status, got.status, what)
        assert.equal(asked.body.length, 0, what)
        for (const header of ['content-length', 'content-range', 'etag', 'last-modified', 'accept-ranges']) {
          assert.equal(asked.headers[header], got.headers[header], `${header} of ${what}`)
        }
        const type = (answer: Answer) => String(answer.headers['content-type']).replace(/=.*/, '')
        assert.equal(type(asked), type(got), what)
      }
    }
  })

  it('read nothing for HEAD, 304, 412 and 416', async () => {
    const reads = server.fake.statistics.reads
    await get({}, 'system.img', 'HEAD')
    assert.equal((await get({ 'if-none-match': `W/${TAG}` })).status, 304)
    assert.equal((await get({ 'if-modified-since': MODIFIED })).status, 304)
    assert.equal((await get({ 'if-match': '"other"' })).status, 412)
    assert.equal((await get({ 'if-unmodified-since': 'Thu, 29 Feb 2024 12:34:55 GMT' })).status, 412)
    assert.equal((await get({ range: 'bytes=x' })).status, 416)
    assert.equal(server.fake.statistics.reads, reads)
  })

  it('304 has the validators and no body, 412 is an error', async () => {
    const unchanged = await get({ 'if-none-match': TAG })
    assert.equal(unchanged.body.length, 0)
    assert.deepEqual([unchanged.headers.etag, unchanged.headers['last-modified']], [TAG, MODIFIED])
    const failed = await get({ 'if-match': '"other"', range: 'bytes=x' })
    const { error, code } = failed.refusal()
    assert.deepEqual([failed.status, error, code], [412, 'Precondition Failed', 'PRECONDITION_FAILED'])
  })

  it('obey If-Range: the range for what it names, the whole disk for anything else', async () => {
    const range = 'bytes=10-19'
    for (const same of [TAG, MODIFIED]) {
      assert.equal((await get({ range, 'if-range': same })).status, 206, same)
    }
    for (const other of ['"other"', `W/${TAG}`, 'Thu, 29 Feb 2024 12:34:57 GMT', 'nonsense']) {
      const answer = await get({ range, 'if-range': other })
      assert.equal(answer.status, 200, other)
      assert.equal(answer.body.length, SIZE, other)
    }
  })

  it('of an unknown disk, snapshot or VM are 404', async () => {
    assert.equal((await get({}, 'other.img')).refusal().code, 'DISK_NOT_FOUND')
    const snapshot = await server.send(`/api/v1/vms/${VM.name}/snapshots/other/disks/system.img`)
    assert.deepEqual([snapshot.status, snapshot.refusal().code], [404, 'SNAPSHOT_NOT_FOUND'])
  })

  it('pull random ranges like an incremental client does, byte for byte', async () => {
    const random = seededRandom(11)
    for (let round = 0; round < 40; round += 1) {
      const start = Math.floor(random() * SIZE)
      const length = 1 + Math.floor(random() * (SIZE - start))
      const answer = await get({ range: `bytes=${start}-${start + length - 1}` })
      assert.ok(answer.body.equals(content.subarray(start, start + length)), `${start}+${length}`)
    }
  })

  it('of a disk that cannot be read at all are a whole error answer', async () => {
    server.fake.beforeRead = async () => {
      throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', errno: -5 })
    }
    const answer = await get({ range: 'bytes=5-9' })
    server.fake.beforeRead = async () => undefined
    assert.deepEqual([answer.status, answer.refusal().code], [500, 'READ_FAILED'])
    for (const header of ['content-range', 'etag', 'accept-ranges', 'last-modified']) {
      assert.equal(answer.headers[header], undefined, header)
    }
    assert.match(server.log, /Disk system\.img of snapshot snap-1.*EIO/)
  })

  it('that are cut off while they are read break the connection, and are never padded', async () => {
    const path = join(directory.path, 'shrinking')
    await writeFile(path, content)
    server.fake.files.set('shrinking.img', path)
    let reads = 0
    server.fake.beforeRead = async () => {
      reads += 1
      if (reads === 3) await truncate(path, 2 * 1024 * 1024)
    }
    await assert.rejects(get({}, 'shrinking.img'), /other side closed|terminated|ECONNRESET/)
    server.fake.beforeRead = async () => undefined
    await server.until(() => /the file ends at byte 2097152/i.test(server.log))
  })
})
