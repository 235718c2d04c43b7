import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { ACROSS } from '../support/crash-bench.ts'
import { crashTest } from '../support/crash-test.ts'
import { CRASH_CASES } from './crash-cases.ts'

const HIDING_BACKEND = fileURLToPath(new URL('../fixtures/backend-hiding/backend.mjs', import.meta.url))
const HIDING_ALL = `[[backends]]
module = ${JSON.stringify(HIDING_BACKEND)}
[backends.options]
from = 0
to = ${2 ** 40}
`

crashTest(
  'a server killed when an audit has found a wrong difference never tells it again, without the database too',
  async (bench) => {
    bench.extraConfig = HIDING_ALL
    const path = (id: string) => `/api/v1/vms/${ACROSS}/snapshots/${id}/audit`
    for (const fault of CRASH_CASES.audit) {
      const [older, newer] = await bench.onServer(async (client, server) => {
        const ids = [await bench.snapshot(client, ACROSS), await bench.snapshot(client, ACROSS)] as const
        const { disks } = await client.snapshot(ACROSS, ids[1], ids[0])
        assert.deepEqual(
          disks.map(({ chunks, diff }) => [chunks, diff?.method]),
          disks.map(() => [[], 'physical']),
        )
        await server.arm(fault)
        const body = JSON.stringify({ compareTo: ids[0] })
        // It may be killed before it has answered.
        const begun = client.call('POST', path(ids[1]), { body }).then((answer) => answer.body.dump())
        await begun.catch(() => undefined)
        const verdict = server.logged(({ msg }) => String(msg).startsWith('audit: '))
        assert.equal(await Promise.race([server.ended, verdict]), 'SIGKILL')
        return ids
      })
      await rm(bench.databaseFile)
      bench.distrusted.set(newer, older)
      await bench.onServer(async (client) => {
        const { disks } = await client.snapshot(ACROSS, newer, older)
        assert.deepEqual(
          disks.map(({ diff }) => diff?.method),
          ['content', 'content'],
        )
        await bench.verify(client)
      })
    }
  },
)
