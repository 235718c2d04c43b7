/** Snapshots keep their order when the time of day is set back between them. */

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { ACROSS } from '../support/crash-bench.ts'
import { crashTest } from '../support/crash-test.ts'

const DAY_MS = 86_400_000

/** For node, whose clock then is late by a day; nothing else of the machine's time is. */
const LATE_CLOCK = `data:text/javascript,${encodeURIComponent(`
const now = Date.now
globalThis.Date = class extends Date {
  constructor(...parts) {
    super(...(parts.length === 0 ? [Date.now()] : parts))
  }
}
Date.now = () => now() - ${DAY_MS}`)}`

crashTest(
  'snapshots keep their order when the clock is set back by a day, also when the database is lost then',
  async (bench) => {
    await bench.onServer(async (client) => {
      for (let count = 0; count < 2; count++) await bench.snapshot(client, ACROSS)
    })
    bench.env = { NODE_OPTIONS: `--import=${LATE_CLOCK}` }
    await bench.onServer(async (client, { logs }) => {
      const behind = Date.now() - Date.parse(String(logs[0]?.['time']))
      assert.ok(behind > DAY_MS / 2, `the server's clock is late by ${behind} ms`)
      for (let count = 0; count < 2; count++) await bench.snapshot(client, ACROSS)
      await bench.verify(client)
    })
    await rm(bench.databaseFile)
    await bench.onServer((client) => bench.verify(client))
  },
)
