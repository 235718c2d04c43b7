import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseBerkeleyDbHash } from '../../../inventory/ovs-agent/berkeley-db-hash.ts'
import { writeBerkeleyDbHash } from '../../../inventory/ovs-agent/berkeley-db-hash-writer.ts'
import { command } from '../../support/command.ts'
import { Random } from '../../support/random.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { dumpDatabase, hex, makeDatabase, sortEntries } from '../support/berkeley-db.ts'
import { python } from '../support/python.ts'

let directory: TemporaryDirectory
before(async () => {
  directory = await temporaryDirectory('berkeley-db-writer')
})
after(() => directory[Symbol.asyncDispose]())

const LOOK_UP = `
from bsddb3 import db
b = db.DB()
b.open(request['path'], None, db.DB_HASH, db.DB_RDONLY)
print(json.dumps([b.get(bytes.fromhex(key)).hex() for key in request['keys']]))
`

describe('writeBerkeleyDbHash', () => {
  for (const byteOrder of ['little', 'big'] as const) {
    for (const pageSize of [512, 4096, 65536]) {
      it(`writes a ${byteOrder} endian file of ${pageSize} byte pages that the library takes for its own`, async () => {
        const random = new Random(pageSize)
        for (const count of [0, 1, 300]) {
          const entries = Array.from({ length: count }, (_, index) => {
            const key = index % 50 === 1 ? `key ${index} ${'x'.repeat(pageSize / 4 - 10)}` : `key ${index}`
            return [key, random.bytes(index % 40 === 2 ? 100_000 : random.between(0, 400))] as const
          })
          const path = join(directory.path, `${byteOrder}-${pageSize}-${count}.db`)
          const bytes = writeBerkeleyDbHash(entries, { byteOrder, pageSize })
          await writeFile(path, bytes)
          const expected = sortEntries(entries.map(([key, value]) => [hex(key), value.toString('hex')]))
          assert.match(await command('db5.3_verify', [path]), /succeeded/)
          assert.deepEqual(await dumpDatabase(path), expected)
          const found = JSON.parse(await python(LOOK_UP, { path, keys: expected.map(([key]) => key) }))
          assert.deepEqual(
            found,
            expected.map(([, value]) => value),
          )
          const read = parseBerkeleyDbHash(bytes, path)
          assert.deepEqual(
            sortEntries(read.map(({ key, value }) => [key.toString('hex'), value.toString('hex')])),
            expected,
          )
        }
      })
    }
  }

  it('refuses a key that would need overflow pages', () => {
    assert.throws(() => writeBerkeleyDbHash([['x'.repeat(129), Buffer.alloc(0)]], { pageSize: 512 }), {
      code: 'INTERNAL',
    })
  })

  it('writes a file that the library can go on with', async () => {
    const path = join(directory.path, 'changed.db')
    await writeFile(
      path,
      writeBerkeleyDbHash([
        ['a', Buffer.from('1')],
        ['b', Buffer.alloc(9000)],
      ]),
    )
    const put = Array.from({ length: 500 }, (_, index) => [hex(`more ${index}`), hex('x')] as const)
    await makeDatabase({ path, put, remove: [hex('b')] })
    assert.match(await command('db5.3_verify', [path]), /succeeded/)
    assert.deepEqual(await dumpDatabase(path), sortEntries([...put, [hex('a'), hex('1')]]))
  })
})
