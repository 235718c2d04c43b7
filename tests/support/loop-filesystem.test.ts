import assert from 'node:assert/strict'
import { access, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { STORAGE } from '../storage/matrix.ts'
import { command } from './command.ts'
import { mountFilesystem } from './loop-filesystem.ts'
import { loopDevicesBelow, mountsBelow } from './mounts.ts'
import { mountOrSkip, storageTest } from './storage-test.ts'

for (const kind of STORAGE) {
  storageTest(kind, 'is mounted as the filesystem it is named after', async ({ mount }) => {
    assert.equal((await command('findmnt', ['-no', 'FSTYPE', mount])).trim(), kind.filesystem)
  })

  storageTest(
    kind,
    `${kind.reflink ? 'shares' : 'refuses to share'} blocks between files`,
    async ({ mount }) => {
      const source = join(mount, 'source')
      await writeFile(source, Buffer.alloc(1 << 20, 'x'))
      const clone = command('cp', ['--reflink=always', source, join(mount, 'target')])
      if (kind.reflink) await clone
      else await assert.rejects(clone, /failed to clone/)
    },
  )
}

storageTest(
  'xfs',
  'keeps its files while it is unmounted and refuses writes while read-only',
  async (context) => {
    const { filesystem, mount } = context
    await writeFile(join(mount, 'a'), 'kept')
    await filesystem.unmount()
    await assert.rejects(access(join(mount, 'a')), { code: 'ENOENT' })
    await filesystem.mount()
    await filesystem.remountReadOnly()
    await assert.rejects(writeFile(join(mount, 'a'), 'lost'), { code: 'EROFS' })
    await filesystem.remountWritable()
    assert.equal(await readFile(join(mount, 'a'), 'utf8'), 'kept')
  },
)

test('an unmounted filesystem leaves no mount, no loop device and no folder', async (t) => {
  const filesystem = await mountOrSkip(STORAGE[0]!, t)
  if (filesystem === undefined) return
  const directory = join(filesystem.mountPoint, '..')
  assert.equal(mountsBelow(directory).length, 1)
  assert.equal(loopDevicesBelow(directory).length, 1)
  await filesystem[Symbol.asyncDispose]()
  assert.deepEqual(mountsBelow(directory), [])
  assert.deepEqual(loopDevicesBelow(directory), [])
  await assert.rejects(access(directory), { code: 'ENOENT' })
})

test('a mount that is still in use is taken away, and the error names who uses it', async (t) => {
  const filesystem = await mountOrSkip(STORAGE[0]!, t)
  if (filesystem === undefined) return
  const handle = await open(join(filesystem.mountPoint, 'busy'), 'w')
  const disposing = async () => filesystem[Symbol.asyncDispose]()
  await assert.rejects(disposing, new RegExp(`process ${process.pid} .* has .*/busy open`))
  await handle.close()
  assert.deepEqual(mountsBelow(join(filesystem.mountPoint, '..')), [])
  await filesystem[Symbol.asyncDispose]()
})

test('several filesystems are mounted at once', async (t) => {
  const first = await mountOrSkip(STORAGE[0]!, t)
  if (first === undefined) return
  await using _first = first
  const others = await Promise.all(Array.from({ length: 6 }, () => mountFilesystem(STORAGE[0]!)))
  assert.equal(new Set([first, ...others].map(({ mountPoint }) => mountPoint)).size, 7)
  for (const other of others) await other[Symbol.asyncDispose]()
})
