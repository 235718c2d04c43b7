import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseBerkeleyDbHash, readBerkeleyDbHash } from '../../../inventory/ovs-agent/berkeley-db-hash.ts'
import { Random } from '../../support/random.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { type HexEntry, hex, makeDatabase } from '../support/berkeley-db.ts'
import { python } from '../support/python.ts'

/** Milliseconds for one input: some thousand times what a sound file of this size takes. */
const TIME_LIMIT = 2000

let directory: TemporaryDirectory
before(async () => {
  directory = await temporaryDirectory('berkeley-db')
})
after(() => directory[Symbol.asyncDispose]())

async function made(name: string, options: Partial<Parameters<typeof makeDatabase>[0]>): Promise<Buffer> {
  const path = join(directory.path, name)
  await makeDatabase({ path, put: [], ...options })
  return readFile(path)
}

function refuses(bytes: Buffer, message: RegExp): void {
  const expected = { name: 'DiskferryError', code: 'BERKELEY_DB_INVALID', message }
  assert.throws(() => parseBerkeleyDbHash(bytes, '/db/repository'), expected)
}

/** @returns whether it was read */
function readsOrRefuses(bytes: Buffer): boolean {
  const start = performance.now()
  try {
    parseBerkeleyDbHash(bytes, '/db/repository')
    return true
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'BERKELEY_DB_INVALID', String(error))
    assert.match((error as Error).message, /^\/db\/repository /)
    return false
  } finally {
    const took = performance.now() - start
    assert.ok(took < TIME_LIMIT, `${took} ms for ${bytes.length} bytes`)
  }
}

const OVERFLOW: HexEntry[] = [
  [hex('big'), hex('x'.repeat(3000))],
  [hex('y'.repeat(2000)), hex('big key')],
  [hex('small'), hex('value')],
]

describe('a file of another kind', () => {
  const script = `
from bsddb3 import db
b = db.DB()
if request['flags']: b.set_flags(getattr(db, request['flags']))
if request['type'] == 'DB_QUEUE': b.set_re_len(8)
b.open(request['path'], request['name'], getattr(db, request['type']), db.DB_CREATE)
for i in range(request['count']):
    if request['type'] in ('DB_QUEUE', 'DB_RECNO'): b.append(b'x')
    else: b.put(b'a', b'%d' % i * 20)
b.close()
`
  const kinds = [
    { what: 'a btree file', type: 'DB_BTREE', message: /it is a btree file/ },
    { what: 'a recno file', type: 'DB_RECNO', message: /it is a recno file/ },
    { what: 'a queue file', type: 'DB_QUEUE', message: /it is a queue file/ },
    { what: 'sub-databases', type: 'DB_HASH', name: 'one', message: /it holds sub-databases/ },
    {
      what: 'duplicates on a page',
      type: 'DB_HASH',
      flags: 'DB_DUP',
      count: 2,
      message: /several values for one key/,
    },
    {
      what: 'duplicates off a page',
      type: 'DB_HASH',
      flags: 'DB_DUP',
      count: 500,
      message: /several values for one key/,
    },
  ]
  for (const [index, { what, message, type, name = null, flags = null, count = 1 }] of kinds.entries()) {
    it(`is refused by its name: ${what}`, async () => {
      const path = join(directory.path, `kind-${index}.db`)
      await python(script, { path, type, name, flags, count })
      refuses(await readFile(path), message)
    })
  }

  it('is refused when encrypted', async () => {
    await python(
      `
from bsddb3 import db
e = db.DBEnv()
e.set_encrypt('password', 1)
e.open(request['home'], db.DB_CREATE | db.DB_INIT_MPOOL | db.DB_PRIVATE)
b = db.DB(e)
b.set_flags(db.DB_ENCRYPT)
b.open('encrypted.db', None, db.DB_HASH, db.DB_CREATE)
b.put(b'a', b'b')
b.close()
e.close()
`,
      { home: directory.path },
    )
    refuses(await readFile(join(directory.path, 'encrypted.db')), /it is encrypted/)
  })

  it('is refused when of another version, a heap, partitioned or of Berkeley DB 1.85', async () => {
    const bytes = await made('versions.db', {})
    const changed = (offset: number, value: number) => {
      const copy = Buffer.from(bytes)
      copy.writeUInt32LE(value, offset)
      return copy
    }
    refuses(changed(16, 7), /hash version 7/)
    refuses(changed(16, 10), /hash version 10/)
    refuses(changed(12, 0x074582), /it is a heap file/)
    refuses(changed(36, 3), /partitioned/)
    const old = changed(12, 0)
    old.writeUInt32BE(0x061561, 0)
    refuses(old, /1\.85/)
  })
})

describe('a damaged file', () => {
  it('is refused wherever it is cut off', async () => {
    const bytes = await made('cut.db', { put: OVERFLOW, pageSize: 512 })
    assert.equal(readsOrRefuses(bytes), true)
    for (let length = 0; length < bytes.length; length += 1) {
      assert.equal(
        readsOrRefuses(bytes.subarray(0, length)),
        false,
        `cut to ${length} of ${bytes.length} bytes`,
      )
    }
  })

  it('is refused when a page in use was never written', async () => {
    const bytes = await made('zeroed.db', { put: OVERFLOW, pageSize: 512 })
    const refused: number[] = []
    for (let page = 512; page < bytes.length; page += 512) {
      const zeroed = Buffer.from(bytes)
      zeroed.fill(0, page, page + 512)
      if (!readsOrRefuses(zeroed)) refused.push(page / 512)
    }
    // The first page of a bucket may be all zeros; every page of a chain is missed.
    assert.ok(refused.length >= bytes.length / 512 - 3, `refused only without pages ${refused}`)
  })

  it('is refused when an overflow chain bites its tail, another chain or a hash page', async () => {
    const bytes = await made('chain.db', { put: OVERFLOW, pageSize: 512 })
    const pages = Array.from({ length: bytes.length / 512 }, (_, index) => index)
    const overflow = pages.filter(
      (page) => bytes[page * 512 + 25] === 7 && bytes.readUInt32LE(page * 512 + 16) !== 0,
    )
    assert.ok(overflow.length > 5)
    for (const page of overflow) {
      for (const target of [...pages, pages.length, 2 ** 32 - 1]) {
        if (target === bytes.readUInt32LE(page * 512 + 16)) continue
        const looped = Buffer.from(bytes)
        looped.writeUInt32LE(target, page * 512 + 16)
        assert.equal(readsOrRefuses(looped), false, `page ${page} followed by ${target}`)
      }
    }
  })

  it('is refused when bucket chains bite their tails or each other', async () => {
    const put = Array.from({ length: 60 }, (_, index): HexEntry => [hex(`key ${index}`), hex('x'.repeat(90))])
    const bytes = await made('bucket.db', { put, pageSize: 512 })
    const next = (page: number) => bytes.readUInt32LE(page * 512 + 16)
    const used = Array.from({ length: bytes.length / 512 }, (_, page) => page).filter(
      (page) => bytes[page * 512 + 25] === 13 && bytes.readUInt16LE(page * 512 + 20) > 0,
    )
    const follows = (page: number, other: number): boolean =>
      next(other) !== 0 && (next(other) === page || follows(page, next(other)))
    let loops = 0
    for (const from of used) {
      for (const to of used.filter((page) => !follows(page, from))) {
        const looped = Buffer.from(bytes)
        looped.writeUInt32LE(to, from * 512 + 16)
        looped.writeUInt32LE(from, to * 512 + 12)
        assert.equal(readsOrRefuses(looped), false, `page ${from} followed by ${to}`)
        loops += 1
      }
    }
    assert.ok(loops > 100, `${loops} loops`)
  })

  it('is refused when a key lies in the wrong bucket, as after half a split', async () => {
    const bytes = await made('split.db', { put: [[hex('key'), hex('value')]] })
    const at = bytes.indexOf('key')
    const results = Array.from({ length: 16 }, (_, index) => {
      bytes[at] = 'a'.charCodeAt(0) + index
      return readsOrRefuses(bytes)
    })
    assert.ok(results.includes(true) && results.includes(false), `${results}`)
  })

  it('is refused when it is anything else, and says what it lacks', async () => {
    const random = new Random(1)
    refuses(Buffer.alloc(0), /0 bytes/)
    refuses(Buffer.alloc(8192), /no magic number/)
    refuses(Buffer.from('{"mount_point": "/OVS"}'.repeat(100)), /no magic number/)
    for (let round = 0; round < 50; round += 1)
      refuses(random.bytes(random.between(512, 20_000)), /no magic number/)
    const path = join(directory.path, 'garbage.db')
    await writeFile(path, random.bytes(4096))
    await assert.rejects(readBerkeleyDbHash(path), {
      code: 'BERKELEY_DB_INVALID',
      message: new RegExp(`^${path} .*no magic number`),
    })
  })

  for (const [name, options] of Object.entries({
    'little endian with overflow pages': { put: OVERFLOW, pageSize: 512 },
    'big endian with many buckets': {
      put: Array.from({ length: 200 }, (_, index): HexEntry => [hex(`key ${index}`), hex('value')]),
      pageSize: 512,
      byteOrder: 'big' as const,
    },
    'of the largest pages': { put: OVERFLOW, pageSize: 65536 },
  })) {
    it(`is read or refused, never worse, whatever bytes change: ${name}`, async () => {
      const bytes = await made(`fuzz ${name}.db`, options)
      const random = new Random(bytes.length)
      let read = 0
      const rounds = 1500
      for (let round = 0; round < rounds; round += 1) {
        const mutant = Buffer.from(bytes)
        const changes = random.between(1, 6)
        for (let change = 0; change < changes; change += 1) mutate(mutant, options.pageSize, random)
        if (readsOrRefuses(mutant)) read += 1
      }
      assert.ok(read > 0 && read < rounds, `${read} of ${rounds} were read`)
    })
  }
})

/** Mostly in the metadata and in page headers, where it hurts. */
function mutate(bytes: Buffer, pageSize: number, random: Random): void {
  const page = random.between(0, bytes.length / pageSize - 1) * pageSize
  const offset = random.weighted({ meta: 2, header: 4, index: 2, anywhere: 2 })
  const at = {
    meta: random.between(8, 230),
    header: page + random.between(8, 25),
    index: page + random.between(26, 60),
    anywhere: random.between(0, bytes.length - 5),
  }[offset]
  if (random.chance(0.5)) bytes[at]! ^= 1 << random.between(0, 7)
  else bytes.writeUInt32LE(random.pick([0, 1, 2, 3, 0xffff, 0x10000, 0xffffffff, random.next()]), at)
}
