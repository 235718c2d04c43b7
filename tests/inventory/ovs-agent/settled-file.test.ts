import assert from 'node:assert/strict'
import { appendFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { DiskferryError } from '../../../core/errors.ts'
import { readSettledFile } from '../../../inventory/ovs-agent/settled-file.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

let directory: TemporaryDirectory
before(async () => {
  directory = await temporaryDirectory('settled-file')
})
after(() => directory[Symbol.asyncDispose]())

function write(name: string, content: string): string {
  const path = join(directory.path, name)
  writeFileSync(path, content)
  utimesSync(path, 1000, 1000)
  return path
}

/** Counts the readings and lets the test change the file in the middle of each. */
async function read(path: string, during: (reading: number) => void, whole = 'whole') {
  let readings = 0
  const parse = (bytes: Buffer) => {
    readings += 1
    during(readings)
    const text = bytes.toString()
    if (text.startsWith(whole)) return text
    throw new DiskferryError('BERKELEY_DB_INVALID', `${text} is half written`)
  }
  const result = await readSettledFile(path, {
    maxBytes: 100,
    refusedCode: 'BERKELEY_DB_INVALID',
    parse,
  }).then(
    (value) => ({ value, error: undefined }),
    (error: unknown) => ({ value: undefined, error: error as DiskferryError }),
  )
  return { ...result, readings }
}

describe('readSettledFile', () => {
  it('reads a file at rest once', async () => {
    assert.deepEqual(await read(write('rest', 'whole'), () => undefined), {
      value: 'whole',
      error: undefined,
      readings: 1,
    })
  })

  it('reads again what was half written', async () => {
    const path = write('half', 'ha')
    const { value, readings } = await read(path, (reading) => {
      if (reading === 2) write('half', 'whole')
    })
    assert.equal(value, 'whole')
    assert.equal(readings, 3)
  })

  it('reads again what changed while it was read, even if it made sense', async () => {
    const path = write('changing', 'whole 1')
    const { value, readings } = await read(path, (reading) => {
      if (reading <= 2) appendFileSync(path, ` ${reading + 1}`)
    })
    assert.equal(value, 'whole 1 2 3')
    assert.ok(readings >= 3, `${readings}`)
  })

  it('reads again what changed a moment ago and takes it when it stays the same', async () => {
    const path = write('recent', 'whole')
    // On a busy machine the moment may be over before the first reading ends: some tries for one that is in time.
    for (let attempt = 1; ; attempt += 1) {
      const now = Date.now() / 1000
      utimesSync(path, now, now)
      const { value, readings } = await read(path, () => undefined)
      assert.equal(value, 'whole')
      if (readings >= 2) break
      assert.ok(attempt < 20, 'read only once, 20 times')
    }
  })

  it('takes a file with a time in the future', async () => {
    const path = write('future', 'whole')
    utimesSync(path, 4e9, 4e9)
    assert.equal((await read(path, () => undefined)).readings, 1)
  })

  it('gives up with what was wrong last', async () => {
    const { error, readings } = await read(write('broken', 'ha'), () => undefined)
    assert.equal(error?.code, 'BERKELEY_DB_INVALID')
    assert.equal(error?.message, 'ha is half written')
    assert.equal(readings, 5)
  })

  it('gives up on a file that never rests', async () => {
    const path = write('restless', 'whole')
    const { error, readings } = await read(path, () => appendFileSync(path, '.'))
    assert.equal(error?.code, 'BERKELEY_DB_INVALID')
    assert.match(error?.message ?? '', /restless is being written all the time/)
    assert.equal(readings, 5)
  })

  it('lets errors other than a refusal through at once', async () => {
    const failure = new Error('a fault of the parser')
    const path = write('fault', 'whole')
    const parse = () => {
      throw failure
    }
    await assert.rejects(
      readSettledFile(path, { maxBytes: 9, refusedCode: 'BERKELEY_DB_INVALID', parse }),
      failure,
    )
  })
})
