/** The lock of a VM in its repository, between hosts: each mounts the same files, and has nothing else of the other. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { deferred } from '../support/deferred.ts'
import { flockHolder } from '../support/flock-holder.ts'
import { lockUsers } from '../support/lock-users.ts'
import { makeRepositoryLocks } from '../support/repository-locks.ts'
import { failsWith } from '../support/snapshot-test.ts'
import { machineTest } from '../vm/inside/machine-test.ts'
import { mountAgain } from '../vm/inside/mount-again.ts'

const VM = 'vm-1'
const PATIENCE_MS = 60_000
const SHORT_MS = 1000

for (const [name, asAnotherHost] of [
  ['ocfs2', undefined],
  ['nfs42', 'nosharecache'],
  ['cifs', 'nosharesock'],
] as const) {
  machineTest(
    name,
    'the lock of a VM is held by one process of one host at a time, until it ends',
    async ({ filesystem, mount, signal, t }) => {
      await using again =
        asAnotherHost === undefined
          ? { mountPoint: mount, [Symbol.asyncDispose]: async () => undefined }
          : await mountAgain(filesystem, [asAnotherHost])
      const there = again.mountPoint
      const locks = makeRepositoryLocks(PATIENCE_MS)
      const take = (root: string) => locks.hold([root], VM, async () => 'held', signal)
      const busy = async (root: string) => {
        const held = locks.hold([root], VM, async () => 'held', signal, { patienceMs: SHORT_MS })
        await assert.rejects(held, failsWith('VM_BUSY'), root)
      }

      const [held, release] = [deferred(), deferred()]
      const work = async () => {
        held.resolve()
        await release.promise
      }
      const holding = locks.hold([mount], VM, work, signal)
      await Promise.race([held.promise, holding])
      await busy(mount)
      await busy(there)
      const began = performance.now()
      const handedOver = take(there)
      release.resolve()
      await holding
      assert.equal(await handedOver, 'held')
      t.diagnostic(`handed over after ${(performance.now() - began).toFixed(0)} ms`)

      const killed = await flockHolder(lockFile(mount))
      await busy(there)
      let taken = false
      const waiting = take(there).finally(() => {
        taken = true
      })
      await lockUsers(lockFile(there), 1)
      assert.ok(!taken)
      const since = performance.now()
      process.kill(-killed.pid!, 'SIGKILL')
      assert.equal(await waiting, 'held')
      t.diagnostic(`free ${(performance.now() - since).toFixed(0)} ms after its holder was killed`)
    },
  )
}

function lockFile(mount: string): string {
  return join(mount, 'CoriolisSnapshots/.locks', VM)
}
