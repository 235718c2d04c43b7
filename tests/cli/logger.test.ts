import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { pino } from 'pino'
import { createLogger } from '../../cli/logger.ts'
import { fillUp } from '../support/fill-up.ts'
import { storageTest } from '../support/storage-test.ts'

storageTest(
  'ext4',
  'a log file on a full disk fails nobody who logs, and goes on when there is space',
  async ({ mount }) => {
    const file = join(mount, 'log')
    const { logger, reopen } = createLogger({ file, level: 'info' })
    const told: string[] = []
    const { write } = process.stderr
    try {
      process.stderr.write = (text) => told.push(String(text)) > 0
      {
        await using _full = await fillUp(mount)
        for (let index = 0; index < 5000; index++) logger.info({ index }, 'a line of a log that is full')
        reopen()
        logger.info({}, 'while full')
      }
      logger.info({}, 'space again')
    } finally {
      process.stderr.write = write
      const stream = (logger as unknown as Record<symbol, Writable>)[pino.symbols.streamSym]!
      stream.destroy()
    }
    assert.ok(told.length > 0 && told.length < 5, `it told ${told.length} times`)
    assert.match(told[0]!, /the log can't be written: ENOSPC/)
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
    assert.equal(JSON.parse(lines.at(-1)!).msg, 'space again')
  },
  { sizeBytes: 4 * 1024 * 1024 },
)
