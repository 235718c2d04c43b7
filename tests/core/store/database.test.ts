import assert from 'node:assert/strict'
import { mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { DiskferryError } from '../../../core/errors.ts'
import { openDatabase } from '../../../core/store/database.ts'

describe('the database', () => {
  let folder = ''
  const errors: unknown[] = []
  const opened = (name: string) => openDatabase(join(folder, name), (error) => errors.push(error))

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'diskferry-database-'))
  })
  after(() => rm(folder, { recursive: true }))

  const refused = (pattern: RegExp) => (error: unknown) => {
    assert.ok(error instanceof DiskferryError)
    assert.equal(error.code, 'STORE_FAILED')
    assert.match(error.message, pattern)
    assert.match(error.message, /db_file/)
    return true
  }

  it('is made when absent, keeps values, and keeps namespaces apart', async () => {
    const first = await opened('new.db')
    await first.keyv('a').set('key', { is: 'a' })
    await first.keyv('b').set('key', { is: 'b' })
    await first.close()
    const again = await opened('new.db')
    assert.deepEqual(await again.keyv('a').get('key'), { is: 'a' })
    assert.deepEqual(await again.keyv('b').get('key'), { is: 'b' })
    const keys = []
    for await (const [key] of again.keyv('a').iterator!(undefined)) keys.push(key)
    assert.deepEqual(keys, ['key'])
    await again.close()
  })

  it('keeps namespaces apart also when several are in use: listing and clearing one leaves the others', async () => {
    const database = await opened('several.db')
    const [first, second] = [database.keyv('a'), database.keyv('b')]
    await first.set('one', 1)
    await second.set('two', 2)
    const keysOf = async (keyv: typeof first) => {
      const keys = []
      for await (const [key] of keyv.iterator!(undefined)) keys.push(key)
      return keys
    }
    assert.deepEqual([await keysOf(first), await keysOf(second)], [['one'], ['two']])
    await first.clear()
    assert.deepEqual([await keysOf(first), await keysOf(second)], [[], ['two']])
    await database.close()
  })

  it('of the ancestor is left as it is, and a file beside it is used', async () => {
    const bolt = Buffer.alloc(32_768)
    bolt.writeUInt32LE(0xed0cdaed, 16)
    await writeFile(join(folder, 'exporter.db'), bolt)
    const database = await opened('exporter.db')
    assert.equal(database.file, join(folder, 'exporter.db.diskferry'))
    await database.keyv('a').set('key', 1)
    await database.close()
    assert.ok((await readFile(join(folder, 'exporter.db'))).equals(bolt))
  })

  it('that is garbage is refused and left as it is', async () => {
    await writeFile(join(folder, 'garbage.db'), 'this is no database at all, but it is long enough')
    await assert.rejects(opened('garbage.db'), refused(/not an SQLite database/))
    assert.match(await readFile(join(folder, 'garbage.db'), 'utf8'), /^this is no database/)
  })

  it('that was cut short is refused', async () => {
    const whole = await opened('cut.db')
    for (let index = 0; index < 200; index++) await whole.keyv('a').set(`key ${index}`, 'x'.repeat(500))
    await whole.close()
    await using file = await open(join(folder, 'cut.db'), 'r+')
    await file.truncate(20_000)
    await assert.rejects(opened('cut.db'), refused(/can't be used/))
  })

  it('that was overwritten in the middle is refused', async () => {
    const whole = await opened('overwritten.db')
    for (let index = 0; index < 200; index++) await whole.keyv('a').set(`key ${index}`, 'x'.repeat(500))
    await whole.close()
    await using file = await open(join(folder, 'overwritten.db'), 'r+')
    await file.write(Buffer.alloc(60_000, 0xee), 0, 60_000, 8192)
    await assert.rejects(opened('overwritten.db'), refused(/can't be used/))
  })

  it('in a folder that is not there is refused', async () => {
    await assert.rejects(opened('missing/folder.db'), refused(/can't be used/))
  })

  it('that is a folder is refused', async () => {
    await assert.rejects(
      openDatabase(folder, () => undefined),
      refused(/can't be read/),
    )
  })

  it('that was moved is neither read nor written any more until it is back, whatever is in its place', async () => {
    const [file, aside] = [join(folder, 'moved.db'), join(folder, 'aside.db')]
    const database = await opened('moved.db')
    const keyv = database.keyv('a')
    await keyv.set('key', 1)
    await rename(file, aside)
    await assert.rejects(keyv.get('key'), /restart every server that uses it/)
    const next = await opened('moved.db')
    await next.keyv('a').set('key', 2)
    await assert.rejects(keyv.get('key'), /restart every server that uses it/)
    await assert.rejects(keyv.set('key', 3), /restart every server that uses it/)
    assert.equal(await next.keyv('a').get('key'), 2)
    await next.close()
    await rename(aside, file)
    assert.equal(await keyv.get('key'), 1)
    await database.close()
  })

  it('open in two places at once shows each what the other wrote', async () => {
    const [left, right] = [await opened('shared.db'), await opened('shared.db')]
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        (index % 2 ? left : right).keyv('a').set(`key ${index}`, index),
      ),
    )
    assert.equal(await left.keyv('a').get('key 6'), 6)
    assert.equal(await right.keyv('a').get('key 7'), 7)
    await left.close()
    await right.close()
  })
})
