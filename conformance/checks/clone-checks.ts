import assert from 'node:assert/strict'
import { mkdir, open, readdir, readFile, rename, stat, symlink, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemCode } from 'diskferry/core'
import type { Check } from '../check.ts'
import type { CheckContext } from '../check-context.ts'
import { foreignFolder } from '../foreign-folder.ts'
import { Disk } from '../guest/disk.ts'
import { fingerprint } from '../oracle/fingerprint.ts'

const KIB = 1024
const MIB = 1024 * KIB
const SIZES = [0, 1, 4095, 4096, 4097, MIB + 1]

export const cloneChecks: readonly Check[] = [
  {
    name: 'a clone holds every byte of its source, whatever the size',
    async run(context) {
      for (const size of SIZES) {
        const disk = await context.fullDisk(size, `disk-${size}`)
        const clone = await context.clone(disk, `clone-${size}`)
        assert.equal(await fingerprint(clone.path), await fingerprint(disk.path), `a disk of ${size} bytes`)
      }
    },
  },
  {
    name: 'a clone holds what was written a moment before and is not on the disk yet',
    async run(context) {
      const disk = await context.fullDisk(256 * KIB)
      await disk.sync()
      await disk.fill(100 * KIB, 10 * KIB, 2)
      await disk.fill(256 * KIB, 5000, 2)
      const clone = await context.clone(disk, 'clone')
      assert.equal(await fingerprint(clone.path), await fingerprint(disk.path))
    },
  },
  {
    name: 'writes to the source are not seen in the clone',
    run: (context) => checkIsolation(context, 'source'),
  },
  {
    name: 'writes to the clone are not seen in the source',
    run: (context) => checkIsolation(context, 'clone'),
  },
  { name: 'a clone of a clone is a disk like any other', run: checkChain },
  { name: 'file names with blanks, percent signs and letters of any alphabet are taken', run: checkNames },
  { name: 'paths through a descriptor lead to what is held, whatever was renamed', run: checkDescriptors },
  { name: 'an existing target is refused with EEXIST and left as it was', run: checkExisting },
  {
    name: 'a missing source is an error, and nothing is left in the folder',
    async run(context) {
      await assert.rejects(context.clone(context.path('missing'), 'clone'), 'there is nothing to clone')
      assert.deepEqual(await context.listing(), [])
    },
  },
  {
    name: 'a folder as the source is an error, and nothing is left in the folder',
    async run(context) {
      await mkdir(context.path('folder'))
      await assert.rejects(context.clone(context.path('folder'), 'clone'), 'a folder is no disk')
      assert.deepEqual(await context.listing(), ['folder'])
    },
  },
  {
    name: 'a target in a missing folder is an error, and the folder is not made',
    async run(context) {
      const disk = await context.fullDisk(4096)
      await assert.rejects(
        context.clone(disk, join('missing', 'clone')),
        'the folder of the target is missing',
      )
      assert.deepEqual(await context.listing(), ['disk.img'])
    },
  },
  {
    name: 'a clone to or from another filesystem fails, and nothing is left in either folder',
    run: checkForeign,
  },
]

async function checkIsolation(context: CheckContext, written: 'source' | 'clone'): Promise<void> {
  const source = await context.fullDisk(MIB + 777)
  const clone = await context.clone(source, 'clone')
  const [changed, kept] = written === 'source' ? [source, clone] : [clone, source]
  const before = await fingerprint(kept.path)
  const changes: Readonly<Record<string, () => Promise<void>>> = {
    'a byte was turned': () => changed.flip(300 * KIB),
    'a block was written': () => changed.fill(64 * KIB, 4096, 2),
    'an unaligned range was written': () => changed.fill(123_456, 54_321, 3),
    'the end was cut off': () => changed.truncate(512 * KIB + 1),
    'the end was written anew': () => changed.fill(512 * KIB, MIB, 4),
    'it was emptied': () => changed.truncate(0),
  }
  for (const [what, change] of Object.entries(changes)) {
    await change()
    await changed.sync()
    assert.equal(await fingerprint(kept.path), before, `${what} in the ${written}, and the other one changed`)
  }
}

async function checkChain(context: CheckContext): Promise<void> {
  const first = await context.fullDisk(256 * KIB)
  const second = await context.clone(first, 'second')
  await second.fill(8 * KIB, 8 * KIB, 2)
  const third = await context.clone(second, 'third')
  assert.equal(await fingerprint(third.path), await fingerprint(second.path))
  await unlink(first.path)
  await unlink(second.path)
  await third.fill(32 * KIB, 8 * KIB, 3)
  await context.checkMap(third)
}

async function checkNames(context: CheckContext): Promise<void> {
  const disk = await context.fullDisk(5000, 'disk with blanks, 100%.img')
  for (const name of ['-rf', 'снимок 快照 é', '%s%n', 'a'.repeat(200)]) {
    if (!(await takesName(context.path(name)))) {
      context.note(`this mount takes no file called '${name}'`)
      continue
    }
    const clone = await context.clone(disk, name)
    assert.equal(await fingerprint(clone.path), await fingerprint(disk.path), name)
  }
}

/** So that a link that somebody puts in a disk's place is never cloned, the core names disks by their descriptors. */
async function checkDescriptors(context: CheckContext): Promise<void> {
  const { backend, signal } = context
  const disk = await context.fullDisk(256 * KIB)
  await using folder = await open(context.folder, 'r')
  await using held = await open(disk.path, 'r')
  const through = ({ fd }: { readonly fd: number }) => `/proc/${process.pid}/fd/${fd}`
  await rename(disk.path, context.path('moved.img'))
  await context.fullDisk(256 * KIB, 'disk.img', 2)
  await backend.clone(through(held), `${through(folder)}/clone`, signal)
  const moved = new Disk(context.path('moved.img'))
  const clone = new Disk(context.path('clone'))
  assert.equal(await fingerprint(clone.path), await fingerprint(moved.path))
  assert.deepEqual(await context.map(new Disk(through(held))), await context.map(moved))
}

async function takesName(path: string): Promise<boolean> {
  try {
    await writeFile(path, '')
    await unlink(path)
    return true
  } catch {
    return false
  }
}

async function checkExisting(context: CheckContext): Promise<void> {
  const disk = await context.fullDisk(64 * KIB)
  await writeFile(context.path('full'), 'here before')
  await writeFile(context.path('empty'), '')
  await mkdir(context.path('folder'))
  await symlink('nowhere', context.path('dangling')).catch((error) =>
    context.note(
      `this mount has no symbolic links (${String(error)}): a link in the target's place was not tried`,
    ),
  )
  const before = await context.listing()
  for (const name of before) {
    await assert.rejects(
      context.clone(disk, name),
      (error) => originalCode(error) === 'EEXIST' || assert.fail(`'${name}' exists, but: ${String(error)}`),
      `'${name}' exists, and was cloned over`,
    )
  }
  assert.deepEqual(await context.listing(), before, 'the folder holds something else now')
  assert.equal(await readFile(context.path('full'), 'utf8'), 'here before')
  assert.equal((await stat(context.path('empty'))).size, 0)
  assert.equal((await stat(disk.path)).size, 64 * KIB)
}

/** The system's word for it, however deep the backend wrapped it. */
function originalCode(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = systemCode(at)
    if (code !== undefined) return code
  }
  return undefined
}

async function checkForeign(context: CheckContext): Promise<void> {
  const { backend, suite, signal } = context
  await using foreign = await foreignFolder(suite)
  const here = await context.fullDisk(256 * KIB)
  const there = await Disk.create(join(foreign.path, 'disk.img'))
  await there.fill(0, 256 * KIB, 1)
  const before = (await readdir(foreign.path)).sort()
  const ways = [
    [here.path, join(foreign.path, 'clone')],
    [there.path, context.path('clone')],
  ] as const
  for (const [source, target] of ways) {
    await assert.rejects(
      backend.clone(source, target, signal),
      `'${target}' was made: bytes must have been copied`,
    )
    assert.deepEqual((await readdir(dirname(there.path))).sort(), before, 'left in the foreign folder')
    assert.deepEqual(await context.listing(), ['disk.img'], 'left in the folder under test')
  }
}
