/** What an audit found out holds, whether the database has room for it or not. */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import xfs from '../../../backends/xfs/index.ts'
import { storageKind } from '../../storage/matrix.ts'
import { auditTest, BLOCK, changedPair, pulled } from '../../support/audit-test.ts'
import { makeCore } from '../../support/core.ts'
import { deferred } from '../../support/deferred.ts'
import { fillUp } from '../../support/fill-up.ts'
import { mountFilesystem } from '../../support/loop-filesystem.ts'
import { lyingBackend } from '../../support/lying-backend.ts'
import { failsWith, MIB, VM, WHOLE } from '../../support/snapshot-test.ts'

auditTest(
  'a wrong difference is not believed again when the disk of the database is full, nor after a restart',
  async (bench) => {
    await using small = await mountFilesystem(storageKind('ext4'), { sizeBytes: 4 * MIB })
    const filledUp = deferred()
    let isAudited = false
    const lying = lyingBackend(xfs(), () => ({ hides: [{ start: 2 * MIB, length: BLOCK }] }))
    const options = {
      ...bench.options,
      dbFile: join(small.mountPoint, 'test.db'),
      backends: [
        {
          ...lying,
          async diff(...args: Parameters<typeof lying.diff>) {
            if (isAudited) await filledUp.promise
            return await lying.diff(...args)
          },
        },
      ],
    }
    const shownMethod = async ({ snapshots }: typeof core) => {
      const { disks } = await snapshots.get(VM, target.id, { squash: true, compareTo: base.id })
      return disks[0]!.diff?.method
    }
    await using core = await makeCore(options)
    const { base, target } = await changedPair({ ...bench, core })
    const right = await readFile(target.disks[0]!.path)
    assert.equal(await shownMethod(core), 'physical')
    assert.ok(!(await pulled(core, base, target)).equals(right), 'the lie makes an incremental wrong')
    {
      isAudited = true
      await core.audits.start(VM, target.id, { compareTo: base.id })
      await using _full = await fillUp(small.mountPoint)
      filledUp.resolve()
      await core.audits.ended(VM, target.id)
      const { state, reason, mismatchBytes } = await core.audits.get(VM, target.id)
      assert.deepEqual([state, mismatchBytes], ['mismatch', BLOCK], reason ?? '')
      assert.match(reason ?? '', /the database could not write/)
      assert.ok(bench.logged.some(({ message }) => message.includes('is wrong')))
      assert.equal(await shownMethod(core), 'content')
      assert.ok((await pulled(core, base, target)).equals(right))
      assert.match(await core.metrics.render(), /^diskferry_distrusted_pairs 1$/m)
      await assert.rejects(core.snapshots.create(VM, WHOLE), failsWith('STORE_FAILED'))
      await assert.rejects(core.auditStore.writeAgain(VM), failsWith('STORE_FAILED'))
    }
    while (core.auditStore.hasUnwritten(VM)) await delay(20)
    await core[Symbol.asyncDispose]()
    await using next = await makeCore(options)
    assert.equal((await next.audits.get(VM, target.id)).state, 'mismatch')
    assert.equal(await shownMethod(next), 'content')
    assert.ok((await pulled(next, base, target)).equals(right))
  },
)
