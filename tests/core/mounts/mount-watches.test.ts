import assert from 'node:assert/strict'
import { mkdir, realpath, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemCode } from '../../../core/errors.ts'
import { MountWatches } from '../../../core/mounts/mount-watches.ts'
import { isNotResponding } from '../../../core/mounts/not-responding.ts'
import type { Mount } from '../../../core/storage-backend.ts'
import { Random } from '../../support/random.ts'
import { SILENT } from '../../support/silent-log.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { makeWatches } from '../../support/watches.ts'
import { silentServer } from './silent-server.ts'

const PATIENCE_MS = 300
const TREES = 50

function mountOn(mountPoint: string, mountId: number): Mount {
  const place = { mountId, parentId: 1, device: `0:${mountId}`, root: '/', mountPoint }
  return { ...place, filesystem: 'nfs4', source: `server:${mountPoint}`, readOnly: false, options: [] }
}

test('links are resolved as the system does, or fail as there', async () => {
  await using directory = await temporaryDirectory('links')
  const watches = makeWatches()
  let [right, wrong] = [0, 0]
  for (let seed = 1; seed <= TREES; seed++) {
    const paths = await plantTree(join(directory.path, String(seed)), new Random(seed))
    const resolver = await watches.resolver()
    for (const path of paths) {
      const expected = await realpath(path).catch((error: unknown) => systemCode(error))
      const found = await resolver.resolve(path).catch((error: unknown) => systemCode(error))
      assert.equal(found, expected, `seed ${seed}, ${path}`)
      if (found?.startsWith('/')) right++
      else wrong++
    }
  }
  assert.ok(right > 100 && wrong > 100, `${right} were resolved, ${wrong} failed: too few to tell`)
})

test('a path leads no further than to a mount that does not answer', async () => {
  await using directory = await temporaryDirectory('silent')
  await using server = await silentServer()
  const dead = join(directory.path, 'dead')
  await mkdir(join(dead, 'folder'), { recursive: true })
  await writeFile(join(dead, 'folder', 'disk.img'), '')
  await symlink('dead/folder', join(directory.path, 'link'))
  const mounts = [mountOn('/', 1), mountOn(dead, 2)]
  const watches = new MountWatches(
    { list: async () => mounts },
    {
      patienceMs: PATIENCE_MS,
      log: SILENT,
      ask: async (mountPoint) => (mountPoint === dead ? server.call() : undefined),
    },
  )
  await server.pause()
  const resolver = await watches.resolver()
  assert.equal(await resolver.resolve(dead), dead, 'a mount point is no link, and nobody has to be asked')
  for (const path of ['dead/folder', 'link/disk.img', 'link/../other', 'dead/missing'])
    await assert.rejects(resolver.resolve(`${directory.path}/${path}`), isNotResponding, path)
  assert.equal(await resolver.resolve(`${dead}/..`), directory.path)
  await assert.rejects(
    watches.run([directory.path, join(dead, 'x')], async () => assert.fail('it was begun')),
    isNotResponding,
  )
  assert.equal(await watches.run([directory.path], async () => 'works'), 'works')
})

test('what is mounted in the place of a silent mount is used at once', async () => {
  await using server = await silentServer()
  const mounts = [mountOn('/', 1), mountOn('/mnt/r1', 2)]
  const asked: string[] = []
  const watches = new MountWatches(
    { list: async () => mounts },
    {
      patienceMs: PATIENCE_MS,
      log: SILENT,
      ask: async (mountPoint) => {
        asked.push(mountPoint)
        if (mounts[1]!.mountId === 2) await server.call()
      },
    },
  )
  await server.pause()
  await assert.rejects(watches.assertAnswer(['/mnt/r1/disk']), isNotResponding)
  mounts[1] = mountOn('/mnt/r1', 3)
  await watches.assertAnswer(['/mnt/r1/disk'])
  assert.deepEqual(asked, ['/mnt/r1', '/mnt/r1'])
  assert.ok(watches.holdThreads)
})

/** Folders, files and links in all directions. @returns paths into it, many of them wrong */
async function plantTree(root: string, random: Random): Promise<readonly string[]> {
  const names = ['a', 'b', 'c', 'd']
  const path = () =>
    Array.from({ length: random.between(1, 4) }, () => random.pick([...names, '..', '.'])).join('/')
  const folders = [root]
  await mkdir(root)
  for (let index = 0; index < 12; index++) {
    const parent = random.pick(folders)
    const made = join(parent, random.pick(names))
    const target = random.chance(0.3) ? `${root}/${path()}` : path()
    const step = random.pick(['folder', 'folder', 'link', 'link', 'file'])
    try {
      if (step === 'folder') await mkdir(made)
      else if (step === 'link') await symlink(target, made)
      else await writeFile(made, '', { flag: 'wx' })
      if (step === 'folder') folders.push(made)
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
    }
  }
  return Array.from({ length: 20 }, () => `${root}/${path()}`)
}
