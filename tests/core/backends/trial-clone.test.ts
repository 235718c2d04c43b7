import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { cloneFile } from 'diskferry/native'
import { trialClone } from '../../../core/backends/trial-clone.ts'
import { command } from '../../support/command.ts'
import { storageTest } from '../../support/storage-test.ts'

storageTest('xfs', 'a trial clone leaves nothing behind, whether it succeeds or not', async ({ mount }) => {
  assert.deepEqual(await trialClone(cloneFile, mount), { compatible: true, reasons: [] })
  const refusing = async () => {
    throw new Error('no clones here')
  }
  assert.deepEqual(await trialClone(refusing, mount), { compatible: false, reasons: ['no clones here'] })
  assert.deepEqual(await readdir(mount), [])
})

storageTest('xfs', 'a clone that shares later writes with its source is found out', async ({ mount }) => {
  const report = await trialClone(
    (source, target) => command('ln', [source, target]).then(() => undefined),
    mount,
  )
  assert.deepEqual(report, {
    compatible: false,
    reasons: ['a trial clone did not keep the bytes of its source'],
  })
})

storageTest('xfs', 'files of a trial that can not be removed never hide why it failed', async ({ mount }) => {
  const directory = join(mount, 'append-only')
  await mkdir(directory)
  await command('chattr', ['+a', directory])
  const refusing = async () => {
    throw new Error('no clones here')
  }
  assert.deepEqual(await trialClone(refusing, directory), { compatible: false, reasons: ['no clones here'] })
  const left = await trialClone((source, target) => copyFile(source, target), directory)
  assert.equal(left.compatible, false)
  assert.match(left.reasons.join(), /may not write in .*append-only': EPERM/)
})
