import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createLogger } from '../../cli/logger.ts'
import { fillUp } from '../support/fill-up.ts'
import { storageTest } from '../support/storage-test.ts'

/** More than is kept. */
const LINES = 20_000

storageTest(
  'ext4',
  'a log file on a full disk fails nobody who logs, and goes on when there is space',
  async ({ mount }) => {
    const file = join(mount, 'log')
    const { logger, reopen, close } = createLogger({ file, level: 'info' })
    const told: string[] = []
    const { write } = process.stderr
    try {
      process.stderr.write = (text) => told.push(String(text)) > 0
      {
        await using _full = await fillUp(mount)
        for (let index = 0; index < LINES; index++) logger.info({ index }, 'a line of a log that is full')
        reopen()
        logger.fatal({}, 'while full')
      }
      logger.info({}, 'space again')
    } finally {
      process.stderr.write = write
      close()
    }
    assert.equal(told.length, 1)
    assert.match(told[0]!, /the log can't be written: ENOSPC/)
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
    const [lost, last] = lines.splice(-2).map((line) => JSON.parse(line) as { msg: string; lines?: number })
    assert.match(lost!.msg, /lines of the log were lost/)
    assert.equal(last!.msg, 'space again')
    // Those that are there are whole, and none is left out in between.
    const indexes = lines.map((line) => (JSON.parse(line) as { index: number }).index)
    assert.deepEqual(indexes, [...indexes.keys()])
    assert.equal(indexes.length + lost!.lines!, LINES + 1)
  },
  { sizeBytes: 4 * 1024 * 1024 },
)
