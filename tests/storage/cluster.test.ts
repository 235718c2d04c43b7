/** A repository on an OCFS2 volume that two hosts have mounted: two kernels, with a lock manager between them. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { withCluster } from '../vm/cluster.ts'
import type { ClusterHostOperations, Seen } from './cluster-host.ts'

const PROGRAM = fileURLToPath(new URL('cluster-host.ts', import.meta.url))
const GIB = 1024 ** 3
const TIMEOUT_MS = 10 * 60_000
const ROUNDS = 3
const STEPS = 30
const MEANWHILE = 3

test('hosts that share an OCFS2 volume keep out of each other’s way', { timeout: TIMEOUT_MS }, async (t) => {
  const options = { program: PROGRAM, diskBytes: 4 * GIB, timeoutMs: TIMEOUT_MS, signal: t.signal }
  await withCluster<ClusterHostOperations>(options, async (one, two) => {
    const seconds = secondsSince(performance.now())
    await Promise.all([one.call('join'), two.call('join')])
    await one.call('makeVolume')
    await Promise.all([one.call('mount'), two.call('mount')])
    t.diagnostic(`mounted on both after ${seconds()} s`)

    const step = async (sentence: string, body: () => Promise<void>) => {
      let passed = false
      await t.test(sentence, async () => {
        await body()
        passed = true
      })
      // It leaves the hosts in a state in which the next would fail for no reason of its own.
      assert.ok(passed, sentence)
    }

    await step('the lock of a VM is held by one host at a time, until its process ends', async () => {
      await one.call('lock')
      await two.call('refused')
      let taken = false
      const waiting = two.call('lockOnce').finally(() => {
        taken = true
      })
      await two.call('refused')
      assert.ok(!taken)
      await one.call('unlock')
      await waiting
      await two.call('startHolder')
      const inherited = one.call('lockOnce')
      await one.call('refused')
      await two.call('killHolder')
      await inherited
    })

    await one.call('makeDisks')
    await Promise.all([one.call('startServer'), two.call('startServer')])

    await step('a host exports what a guest on either host wrote', async () => {
      let base = ''
      for (let round = 0; round < ROUNDS; round += 1) {
        const [writer, other] = round % 2 === 0 ? [two, one] : [one, two]
        const written = await writer.call('writeAtRandom', round, STEPS)
        const id = await one.call('create')
        // Not before: to read it would have the writer's host write it out.
        assert.equal(await other.call('digestOfDisk'), written, `round ${round}`)
        const pulled = await one.call('pull', id, base)
        assert.deepEqual(pulled, { digest: written, writes: 0 }, `round ${round}`)
        assert.deepEqual(await two.call('look', id), pulled, `round ${round}`)
        if (base !== '') await one.call('remove', base)
        base = id
      }
      await one.call('remove', base)
    })

    await step('hosts make and delete snapshots of a VM at once while its guest writes', async () => {
      await two.call('march')
      const kept: { readonly id: string; readonly pulled: Seen }[] = []
      const exported = async () => {
        for (let made = 0; made < MEANWHILE; made += 1) {
          await two.call('goOn')
          const id = await one.call('create')
          kept.push({ id, pulled: await one.call('pull', id, kept.at(-1)?.id ?? '') })
        }
      }
      const deleted = async () => {
        for (let made = 0; made < MEANWHILE; made += 1) {
          const id = await two.call('create')
          await two.call('look', id)
          await two.call('remove', id)
        }
      }
      await Promise.all([exported(), deleted()])
      const last = await two.call('halt')
      let before = 0
      for (const { id, pulled } of kept) {
        assert.ok(before < pulled.writes && pulled.writes <= last, `${before}, ${pulled.writes}, ${last}`)
        assert.deepEqual(await two.call('look', id), pulled)
        assert.deepEqual(await one.call('look', id), pulled)
        await one.call('remove', id)
        before = pulled.writes
      }
      assert.deepEqual(await two.call('snapshots'), [])
    })

    await step('the lock of a VM that a host held is free when the host is found dead', async () => {
      await two.call('writeAtRandom', ROUNDS, STEPS)
      await two.call('lock')
      const inherited = one.call('lockOnce')
      await one.call('refused')
      const sinceKilled = secondsSince(performance.now())
      await two.kill()
      await inherited
      t.diagnostic(`free ${sinceKilled()} s after its holder’s host was killed`)
      const id = await one.call('create')
      assert.deepEqual(await one.call('pull', id), await one.call('look', id))
      await one.call('remove', id)
      assert.deepEqual(await one.call('snapshots'), [])
      await one.call('check')
    })
  })
})

function secondsSince(began: number): () => string {
  return () => ((performance.now() - began) / 1000).toFixed(1)
}
