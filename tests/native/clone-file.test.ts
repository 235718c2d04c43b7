import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cloneFile } from '../../native/clone-file.ts'
import { copyNoCowFlag } from '../../native/inode-flags.ts'
import { renameNew } from '../../native/rename-new.ts'
import { storageTest } from '../support/storage-test.ts'

for (const name of ['xfs', 'btrfs'] as const) {
  storageTest(name, 'a clone holds the bytes of its source and keeps them', async ({ mount }) => {
    const [source, target] = [join(mount, 'source'), join(mount, 'target')]
    const content = Buffer.alloc(300_001, 5)
    await writeFile(source, content)
    await cloneFile(source, target)
    await using handle = await open(source, 'r+')
    await handle.write(Buffer.from('changed'), 0, 7, 1000)
    assert.ok((await readFile(target)).equals(content))
  })

  storageTest(
    name,
    'a clone onto an existing file fails and leaves that file as it was',
    async ({ mount }) => {
      const [source, target] = [join(mount, 'source'), join(mount, 'target')]
      await writeFile(source, 'new')
      await writeFile(target, 'old')
      await assert.rejects(cloneFile(source, target), { code: 'EEXIST' })
      assert.equal(await readFile(target, 'utf8'), 'old')
      assert.deepEqual((await readdir(mount)).sort(), ['source', 'target'])
    },
  )

  storageTest(
    name,
    'a refused clone names the call and both files, and leaves nothing',
    async ({ mount, filesystem }) => {
      const source = join(mount, 'source')
      await writeFile(source, 'bytes')
      const outside = join(filesystem.image, '..', 'target')
      await assert.rejects(cloneFile(source, outside), (error: NodeJS.ErrnoException & { dest?: string }) => {
        assert.equal(error.code, 'EXDEV')
        assert.equal(error.syscall, 'ioctl(FICLONE)')
        assert.equal(error.path, source)
        assert.equal(error.dest, outside)
        return true
      })
      assert.ok(!(await readdir(join(outside, '..'))).some((entry) => entry.includes('clone')))
    },
  )

  storageTest(
    name,
    'a clone that is published by a rename takes a free name and leaves a taken one',
    async ({ mount }) => {
      const [source, target] = [join(mount, 'source'), join(mount, 'target')]
      await writeFile(source, 'bytes')
      await cloneFile(source, target, undefined, undefined, renameNew)
      await writeFile(source, 'other')
      await assert.rejects(cloneFile(source, target, undefined, undefined, renameNew), { code: 'EEXIST' })
      assert.equal(await readFile(target, 'utf8'), 'bytes')
      assert.deepEqual((await readdir(mount)).sort(), ['source', 'target'])
    },
  )

  storageTest(name, 'a missing source fails and an aborted clone makes nothing', async ({ mount }) => {
    await assert.rejects(cloneFile(join(mount, 'missing'), join(mount, 'target')), { code: 'ENOENT' })
    await writeFile(join(mount, 'source'), 'bytes')
    await assert.rejects(
      cloneFile(join(mount, 'source'), join(mount, 'target'), AbortSignal.abort()),
      /abort/i,
    )
    assert.deepEqual(await readdir(mount), ['source'])
  })
}

storageTest(
  'btrfs',
  'a disk with chattr +C can be cloned, and one without on a nodatacow folder',
  async ({ mount }) => {
    const source = join(mount, 'source')
    await writeFile(source, '')
    execFileSync('chattr', ['+C', source])
    await writeFile(source, Buffer.alloc(100_000, 3))
    await cloneFile(source, join(mount, 'target'), undefined, copyNoCowFlag)
    assert.ok((await readFile(join(mount, 'target'))).equals(Buffer.alloc(100_000, 3)))

    const folder = join(mount, 'folder')
    execFileSync('mkdir', [folder])
    execFileSync('chattr', ['+C', folder])
    const plain = join(mount, 'plain')
    await writeFile(plain, Buffer.alloc(100_000, 4))
    await cloneFile(plain, join(folder, 'target'), undefined, copyNoCowFlag)
    assert.ok((await readFile(join(folder, 'target'))).equals(Buffer.alloc(100_000, 4)))
  },
)
