import assert from 'node:assert/strict'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  type DbEntry,
  parseBerkeleyDbHash,
  readBerkeleyDbHash,
} from '../../../inventory/ovs-agent/berkeley-db-hash.ts'
import { command } from '../../support/command.ts'
import { Random } from '../../support/random.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { dumpDatabase, type HexEntry, hex, makeDatabase, sortEntries } from '../support/berkeley-db.ts'
import { python } from '../support/python.ts'

let directory: TemporaryDirectory
let files = 0
before(async () => {
  directory = await temporaryDirectory('berkeley-db')
})
after(() => directory[Symbol.asyncDispose]())

function newPath(): string {
  files += 1
  return join(directory.path, `${files}.db`)
}

function toHex(entries: readonly DbEntry[]): readonly HexEntry[] {
  return sortEntries(entries.map(({ key, value }) => [key.toString('hex'), value.toString('hex')]))
}

/** Small, empty, binary and larger than any page, as keys and as values. */
function variedEntries(seed: number): HexEntry[] {
  const random = new Random(seed)
  const bytes = (length: number) => random.bytes(length).toString('hex')
  const entries: HexEntry[] = [
    [hex('empty'), ''],
    [hex('overflow'), bytes(150 * 1024)],
    [hex('zeros'), Buffer.alloc(100_000).toString('hex')],
    [bytes(70_000), hex('overflow key')],
    [bytes(5000), bytes(200_000)],
    [hex('schlüssel'), hex('wert')],
  ]
  for (const length of [
    101, 127, 128, 129, 486, 1023, 1024, 1025, 4070, 4071, 16_384, 16_385, 65_510, 65_511,
  ]) {
    entries.push([hex(`length ${length}`), bytes(length)])
  }
  for (let index = 0; index < 200; index += 1)
    entries.push([hex(`key ${index}`), bytes(random.between(0, 300))])
  return entries
}

describe('parseBerkeleyDbHash', () => {
  for (const byteOrder of ['little', 'big'] as const) {
    for (const pageSize of [512, 4096, 65536]) {
      it(`reads all of a ${byteOrder} endian file of ${pageSize} byte pages`, async () => {
        const path = newPath()
        const put = variedEntries(pageSize)
        await makeDatabase({ path, put, byteOrder, pageSize })
        const entries = toHex(await readBerkeleyDbHash(path))
        assert.deepEqual(entries, await dumpDatabase(path))
        assert.deepEqual(entries, sortEntries(put))
      })

      it(`reads a ${byteOrder} endian file without entries of ${pageSize} byte pages`, async () => {
        const path = newPath()
        await makeDatabase({ path, put: [], byteOrder, pageSize })
        assert.deepEqual(await readBerkeleyDbHash(path), [])
      })
    }

    it(`reads ${byteOrder} endian 10,000 keys in many buckets, and what is left of them`, async () => {
      const path = newPath()
      const put = Array.from(
        { length: 10_000 },
        (_, index): HexEntry => [hex(`key ${index}`), hex(`value ${index}`)],
      )
      await makeDatabase({ path, put, byteOrder, pageSize: 512 })
      assert.deepEqual(toHex(await readBerkeleyDbHash(path)), await dumpDatabase(path))

      const remove = put.filter((_, index) => index % 3 !== 0).map(([key]) => key)
      const replaced: HexEntry[] = [[hex('key 3'), hex('x'.repeat(120_000))]]
      await makeDatabase({ path, put: replaced, remove, byteOrder })
      const entries = toHex(await readBerkeleyDbHash(path))
      assert.equal(entries.length, 3334)
      assert.deepEqual(entries, await dumpDatabase(path))
    })

    it(`reads a ${byteOrder} endian file with checksums and notices a wrong one`, async () => {
      const path = newPath()
      await makeDatabase({ path, put: variedEntries(7), byteOrder, checksums: true })
      const bytes = await readFile(path)
      assert.deepEqual(toHex(parseBerkeleyDbHash(bytes, path)), await dumpDatabase(path))
      const used = bytes.indexOf('wert')
      for (const offset of [used, 40]) {
        const broken = Buffer.from(bytes)
        broken[offset]! ^= 1
        assert.throws(() => parseBerkeleyDbHash(broken, path), refusal(/checksum/))
      }
    })
  }

  it('reads what db5.3_load made', async () => {
    const path = newPath()
    await command(
      'db5.3_load',
      ['-T', '-t', 'hash', '-c', 'db_lorder=4321', '-c', 'db_pagesize=1024', path],
      {
        input: 'one\n1\ntwo\n2\n',
      },
    )
    assert.deepEqual(toHex(await readBerkeleyDbHash(path)), [
      [hex('one'), hex('1')],
      [hex('two'), hex('2')],
    ])
  })

  it('leaves no trace of removed entries, be they the last', async () => {
    const path = newPath()
    const put = variedEntries(3)
    await makeDatabase({ path, put, remove: put.map(([key]) => key), pageSize: 512 })
    assert.deepEqual(await readBerkeleyDbHash(path), [])
  })

  it('reads the unsorted pages of hash version 8', async () => {
    const path = newPath()
    await makeDatabase({ path, put: [[hex('a'), hex('b')]], pageSize: 512 })
    const bytes = await readFile(path)
    bytes.writeUInt32LE(8, 16)
    for (let page = 512; page < bytes.length; page += 512) if (bytes[page + 25] === 13) bytes[page + 25] = 2
    assert.deepEqual(toHex(parseBerkeleyDbHash(bytes, path)), [[hex('a'), hex('b')]])
  })

  it('reads a file whose keys were placed by a hash function of its own', async () => {
    const path = newPath()
    await makeDatabase({ path, put: [[hex('a'), hex('b')]] })
    const bytes = await readFile(path)
    bytes.writeUInt32LE(1, 92)
    assert.equal(parseBerkeleyDbHash(bytes, path).length, 1)
  })

  it('gives copies that do not hold the file in memory', async () => {
    const path = newPath()
    await makeDatabase({ path, put: [[hex('a'), hex('b')]] })
    const bytes = await readFile(path)
    const [entry] = parseBerkeleyDbHash(bytes, path)
    bytes.fill(0)
    assert.equal(entry?.key.toString(), 'a')
    assert.equal(entry?.value.toString(), 'b')
  })
})

const WRITE_AGAIN_AND_AGAIN = `
import random, time
from bsddb3 import db
choose = random.Random(1)
for _ in range(40):
    b = db.DB()
    b.open(request, None, db.DB_HASH)
    for _ in range(choose.randrange(1, 8)):
        key = b'other %d' % choose.randrange(300)
        if choose.random() < 0.5: b.put(key, b'y' * choose.choice([10, 200, 3000, 20000]))
        elif b.has_key(key): b.delete(key)
    b.close()
    time.sleep(0.05)
`

describe('readBerkeleyDbHash', () => {
  it('names the path and the cause of a file that is not there', async () => {
    const path = newPath()
    await assert.rejects(
      readBerkeleyDbHash(path),
      (error: { code?: string; message: string; cause?: unknown }) => {
        assert.equal(error.code, 'INVENTORY_UNREADABLE')
        assert.ok(error.message.includes(path))
        assert.equal((error.cause as NodeJS.ErrnoException).code, 'ENOENT')
        return true
      },
    )
  })

  it('refuses folders and pipes without waiting', async () => {
    const pipe = newPath()
    await command('mkfifo', [pipe])
    for (const path of [directory.path, pipe, '/dev/zero']) {
      await assert.rejects(readBerkeleyDbHash(path), refusal(/not a regular file/))
    }
  })

  it('refuses a file of more than 64 MiB without reading it', async () => {
    const path = newPath()
    await writeFile(path, '')
    await truncate(path, 64 * 1024 * 1024 + 4096)
    await assert.rejects(readBerkeleyDbHash(path), refusal(/67112960 bytes/))
  })

  it('follows a link to a database', async () => {
    const path = newPath()
    const link = newPath()
    await makeDatabase({ path, put: [[hex('a'), hex('b')]] })
    await command('ln', ['-s', path, link])
    assert.equal((await readBerkeleyDbHash(link)).length, 1)
  })

  it('never lacks an entry while the library changes others', async () => {
    const path = newPath()
    const put = Array.from(
      { length: 50 },
      (_, index): HexEntry => [hex(`stable ${index}`), hex('x'.repeat(100))],
    )
    await makeDatabase({ path, put, pageSize: 512 })
    let writing = true
    const written = python(WRITE_AGAIN_AND_AGAIN, path).finally(() => {
      writing = false
    })
    let whole = 0
    while (writing) {
      const entries = await readBerkeleyDbHash(path).catch((error: { code?: string }) => {
        assert.equal(error.code, 'BERKELEY_DB_INVALID')
        return undefined
      })
      if (entries === undefined) continue
      assert.equal(entries.filter(({ key }) => key.toString().startsWith('stable')).length, 50)
      whole += 1
    }
    await written
    assert.ok(whole > 0)
  })

  it('stops when it is aborted', async () => {
    const path = newPath()
    await writeFile(path, 'garbage')
    const reason = new Error('enough')
    await assert.rejects(readBerkeleyDbHash(path, AbortSignal.abort(reason)), reason)
    const controller = new AbortController()
    const reading = readBerkeleyDbHash(path, controller.signal)
    controller.abort(reason)
    await assert.rejects(reading, reason)
  })
})

function refusal(message: RegExp) {
  return { name: 'DiskferryError', code: 'BERKELEY_DB_INVALID', message }
}
