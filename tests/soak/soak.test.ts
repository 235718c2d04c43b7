import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { command } from '../support/command.ts'
import { isBrokenConnection } from './broken-connection.ts'
import { describeSoak, runSoak } from './run-soak.ts'

/** Short, for every run of the suite; `npm run soak -- --minutes 10` is the real one. */
const { SOAK_SECONDS = '20' } = process.env
const CLI = fileURLToPath(new URL('cli.ts', import.meta.url))

test(`btrfs: a soak of ${SOAK_SECONDS} s finds nothing wrong`, { timeout: 300_000 }, async (t) => {
  const seconds = Number(SOAK_SECONDS)
  const report = await runSoak({ storage: 'btrfs', seconds, seed: 2, signal: t.signal })
  t.diagnostic(describeSoak(report))
  assert.equal(report.wrongBytes, 0)
  assert.ok(report.restores > 0 && report.kills > 0, 'nothing was restored, or nothing was killed')
})

test(`xfs: a soak of ${SOAK_SECONDS} s from the command line finds nothing wrong, and says what it did`, {
  timeout: 300_000,
}, async (t) => {
  const minutes = String(Number(SOAK_SECONDS) / 60)
  const printed = await command(process.execPath, [
    ...['--import', 'tsx', CLI, '--minutes', minutes, '--storage', 'xfs', '--seed', '2'],
  ])
  t.diagnostic(printed.trim())
  const [some, bytes] = ['[1-9]\\d*', '[1-9]\\d* MiB']
  const did = `${some} cycles, ${some} snapshots, ${some} restores, ${bytes} fetched, ${bytes} compared`
  const went = `0 wrong bytes, ${some} kills survived, ${bytes} of memory at most`
  assert.match(printed, new RegExp(`^${did}, ${went}\\n$`))
})

const HIDING = `[[backends]]
module = ${JSON.stringify(fileURLToPath(new URL('../fixtures/backend-hiding/backend.mjs', import.meta.url)))}
[backends.options]
from = 0
to = ${1024 ** 3}
`

for (const [sentence, killChance] of [
  ['a soak finds a backend that hides changes', 0],
  ['a soak that kills the server in every cycle finds a backend that hides changes', 1],
] as const) {
  test(`xfs: ${sentence}`, { timeout: 300_000 }, async (t) => {
    const soaking = runSoak({
      storage: 'xfs',
      seconds: 240,
      seed: 3,
      killChance,
      mostBeforeKillMs: 120_000,
      extraConfig: HIDING,
      signal: t.signal,
    })
    await assert.rejects(
      soaking,
      /\d+ bytes of '.*differ from '.*\nuntil then: \d+ cycles.*, [1-9]\d* wrong bytes/,
    )
  })
}

test('only what a killed server can cause is a broken connection', () => {
  const coded = (code: string) => Object.assign(new Error('x'), { code })
  assert.ok(isBrokenConnection(new TypeError('terminated', { cause: coded('UND_ERR_SOCKET') })))
  assert.ok(isBrokenConnection(coded('ECONNREFUSED')))
  for (const other of [
    coded('ENOENT'),
    new Error('12 bytes differ'),
    new assert.AssertionError({}),
    'text',
  ]) {
    assert.ok(!isBrokenConnection(other), String(other))
  }
})
