import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { systemCode } from '../../core/errors.ts'
import { findByOpenat2, holdBeneath, type WayBeneath, walkBeneath } from '../../native/hold-beneath.ts'
import { swapNames } from '../support/link-swapper.ts'

const WAYS: Readonly<Record<string, WayBeneath>> = { 'openat2(2)': findByOpenat2, 'the walk': walkBeneath }

for (const [name, way] of Object.entries(WAYS)) {
  describe(`what lies beneath a folder, found by ${name}`, () => {
    let top = ''
    let root = ''

    before(async () => {
      top = await realpath(await mkdtemp(join(tmpdir(), 'diskferry-beneath-')))
      root = join(top, 'root')
      await mkdir(join(root, 'a/b'), { recursive: true })
      await mkdir(join(top, 'outside'))
      await writeFile(join(root, 'a/b/disk'), 'inside')
      await writeFile(join(top, 'outside/disk'), 'outside')
      execFileSync('mkfifo', [join(root, 'fifo')])
      await symlink('a/b/disk', join(root, 'link'))
      await symlink('/etc', join(root, 'etc'))
      await symlink('b', join(root, 'a/link'))
    })
    after(() => rm(top, { recursive: true }))

    const hold = (path: string, from = root) => holdBeneath(from, path, way)
    const contentOf = async (path: string) => {
      try {
        await using held = await hold(path)
        return await readFile(held.path, 'utf8')
      } catch (error) {
        return systemCode(error) ?? String(error)
      }
    }
    const refused = (path: string, code: string, from = root) =>
      assert.rejects(hold(path, from), (error: unknown) => {
        assert.equal(systemCode(error), code, `${path}: ${error}`)
        return true
      })

    it('is held whatever has its name afterwards', async () => {
      const path = join(root, 'a/b/moved')
      await writeFile(path, 'the first')
      await using held = await hold(path)
      assert.ok(held.stats.isFile())
      await rename(path, `${path}.away`)
      await writeFile(path, 'the second')
      assert.equal(await readFile(held.path, 'utf8'), 'the first')
    })

    it('may be the folder itself, another folder, or a pipe, which is not opened', async () => {
      for (const path of [root, join(root, 'a/b'), join(root, 'fifo')]) {
        await using held = await hold(path)
        assert.equal(held.stats.isFile(), false)
      }
    })

    it('is refused behind a link, wherever that leads', async () => {
      for (const path of ['link', 'etc/passwd', 'a/link/disk', 'etc'])
        await refused(join(root, path), 'ELOOP')
    })

    it('is refused outside, missing, or below a file', async () => {
      await refused(join(top, 'outside/disk'), 'EXDEV')
      await refused(`${root}-not`, 'EXDEV')
      await refused(join(root, 'none'), 'ENOENT')
      await refused(join(root, 'a/b/disk/x'), 'ENOTDIR')
    })

    it('is refused on another mount', () => refused('/proc/version', 'EXDEV', '/'))

    it('leaves no descriptor open', async () => {
      for (let turn = 0; turn < 20; turn++) {
        await using held = await hold(join(root, 'a/b/disk'))
        assert.ok(held)
        await refused(join(root, 'a/link/disk'), 'ELOOP')
      }
      assert.deepEqual(await openBelow(top), [])
    })

    it('never lies outside while a folder on the way is swapped for a link', async () => {
      await symlink(join(top, 'outside'), join(root, 'trap'))
      await using _swapping = await swapNames(join(root, 'a/b'), join(root, 'trap'))
      const seen = new Map<string, number>()
      for (let turn = 0; turn < 500; turn++) {
        const what = await contentOf(join(root, 'a/b/disk'))
        seen.set(what, (seen.get(what) ?? 0) + 1)
      }
      assert.deepEqual([...seen.keys()].sort(), ['ELOOP', 'inside'], JSON.stringify([...seen]))
    })
  })
}

/** What this process has open below a folder. */
async function openBelow(folder: string): Promise<readonly string[]> {
  const descriptors = await readdir('/proc/self/fd')
  const targets = await Promise.all(
    descriptors.map((descriptor) => readlink(`/proc/self/fd/${descriptor}`).catch(() => '')),
  )
  return targets.filter((path) => path.startsWith(folder))
}
