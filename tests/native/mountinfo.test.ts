import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseMountinfo, readMounts } from '../../native/mountinfo.ts'
import { command } from '../support/command.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('a line of mountinfo is read with its optional fields and escapes', () => {
  const line =
    '36 35 98:0 /sub\\040folder /mnt/a\\040b\\134c rw,noatime master:1 shared:2 - nfs4 srv:/x\\040y rw,vers=4.2'
  assert.deepEqual(parseMountinfo(`${line}\n`), [
    {
      mountId: 36,
      parentId: 35,
      device: '98:0',
      root: '/sub folder',
      mountPoint: '/mnt/a b\\c',
      filesystem: 'nfs4',
      source: 'srv:/x y',
      readOnly: false,
      options: ['rw', 'noatime', 'vers=4.2'],
    },
  ])
})

test('a mount is read-only when the mount or its filesystem is', () => {
  const [mount, filesystem] = parseMountinfo(
    '1 0 8:1 / /a ro - xfs /dev/a rw\n2 0 8:2 / /b rw - xfs /dev/b ro\n',
  )
  assert.equal(mount?.readOnly, true)
  assert.equal(filesystem?.readOnly, true)
})

test('garbage has no mounts in it', () => {
  assert.deepEqual(parseMountinfo('\n \nnonsense\n1 2 3 4 5 6 7 8\n1 2 8:1 / /a rw -\n'), [])
})

test('this machine has a root', async () => {
  assert.ok((await readMounts()).some(({ mountPoint }) => mountPoint === '/'))
})

test('tells whoever asks what is mounted when he asks, however many ask at once', async (t) => {
  await using folder = await temporaryDirectory('mounts')
  const mountPoint = join(folder.path, 'tmpfs')
  await mkdir(mountPoint)
  t.after(() => command('umount', ['--lazy', '--quiet', mountPoint]).catch(() => undefined))
  const isMounted = async () => (await readMounts()).some((mount) => mount.mountPoint === mountPoint)
  let busy = true
  const others = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (busy) assert.ok((await readMounts()).some((mount) => mount.mountPoint === '/'))
    }),
  )
  for (let turn = 0; turn < 20; turn += 1) {
    await command('mount', ['-t', 'tmpfs', 'none', mountPoint])
    assert.equal(await isMounted(), true, `turn ${turn}`)
    await command('umount', [mountPoint])
    assert.equal(await isMounted(), false, `turn ${turn}`)
  }
  busy = false
  await others
})
