/** The database is damaged, deleted or replaced under a running server: it answers what is so, or an error, never less. */

import assert from 'node:assert/strict'
import { copyFile, rename, rm, truncate } from 'node:fs/promises'
import type { ApiClient, RemoteSnapshot } from '../support/api-client.ts'
import { ACROSS, BESIDE, type CrashBench } from '../support/crash-bench.ts'
import { crashTest } from '../support/crash-test.ts'
import { overwrite, scribble } from '../support/damage-database.ts'

const REFUSED = 'STORE_FAILED'
const RESTART = /restart every server that uses it/

interface Damage {
  readonly what: string
  /** What SQLite has in memory is good as long as the header of the file says that nothing has changed. */
  readonly refused: boolean
  /** What the log tells. */
  readonly told?: RegExp
  damage(file: string): Promise<void>
}

const DAMAGES: readonly Damage[] = [
  { what: 'overwritten with garbage', refused: true, damage: (file) => overwrite(file, 0, 20_000) },
  { what: 'cut', refused: true, damage: (file) => truncate(file, 5000) },
  { what: 'cut to nothing', refused: true, damage: (file) => truncate(file, 0) },
  { what: 'overwritten behind its header', refused: false, damage: (file) => overwrite(file, 200, 20_000) },
  { what: 'overwritten in its values', refused: false, damage: scribble },
  { what: 'deleted', refused: true, told: RESTART, damage: (file) => rm(file) },
  { what: 'replaced by a copy of it', refused: true, told: RESTART, damage: replace },
]

crashTest(
  'a database that is damaged, deleted or replaced under a server never has it tell less than there is',
  async (bench, { signal }) => {
    await bench.onServer(async (client) => {
      for (const vm of [ACROSS, BESIDE, ACROSS]) await bench.snapshot(client, vm)
    })
    for (const { what, refused, told, damage } of DAMAGES) {
      signal.throwIfAborted()
      await bench.onServer(async (client, { logs }) => {
        await bench.verify(client)
        const answers = await answersOf(bench, client)
        await damage(bench.databaseFile)
        for (const [path, before] of answers) {
          const answer = await answerTo(client, 'GET', path)
          if (refused) assert.equal(answer, REFUSED, `${path} with a database ${what}`)
          else assert.ok([before, REFUSED].includes(answer), `${path} with a database ${what}: ${answer}`)
        }
        const disks = bench.disksNow(ACROSS)
        const made = await answerTo(client, 'POST', snapshotsOf(ACROSS))
        if (made !== REFUSED) bench.expect(ACROSS, (JSON.parse(made) as RemoteSnapshot).id, disks)
        const reasons = logs.map(({ err }) => String((err as Error | undefined)?.message))
        if (told !== undefined)
          assert.ok(
            reasons.some((reason) => told.test(reason)),
            `${what}: ${reasons}`,
          )
      })
    }
    await bench.onServer((client) => bench.verify(client))
  },
)

function snapshotsOf(vm: string): string {
  return `/api/v1/vms/${vm}/snapshots`
}

/** Lists, snapshots and a difference, by their paths. */
async function answersOf(bench: CrashBench, client: ApiClient): Promise<ReadonlyMap<string, string>> {
  const ids = bench.idsOf(ACROSS)
  const paths = [
    '/api/v1/vms',
    ...[ACROSS, BESIDE].map(snapshotsOf),
    ...ids.map((id) => `${snapshotsOf(ACROSS)}/${id}`),
    `${snapshotsOf(ACROSS)}/${ids[1]}?compareTo=${ids[0]}`,
  ]
  const answers = new Map<string, string>()
  for (const path of paths) answers.set(path, await answerTo(client, 'GET', path))
  assert.ok(![...answers.values()].includes(REFUSED))
  return answers
}

/** @returns the body, or the code of a refusal */
async function answerTo(client: ApiClient, method: 'GET' | 'POST', path: string): Promise<string> {
  const { statusCode, body } = await client.call(method, path)
  const text = await body.text()
  if (statusCode === 200) return text
  assert.equal(statusCode, 500, text)
  return (JSON.parse(text) as { readonly code: string }).code
}

async function replace(file: string): Promise<void> {
  const copy = `${file}.copy`
  await copyFile(file, copy)
  await rename(copy, file)
}
