import assert from 'node:assert/strict'
import { mkdir, readFile, stat, symlink, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from 'diskferry/core'
import { type FallocateOperation, holdBeneath, readMounts } from 'diskferry/native'
import createOcfs2 from '../../backends/ocfs2/index.ts'
import { hasSpaceBehindEnd } from '../../backends/ocfs2/space-behind-end.ts'
import { Disk } from '../../conformance/guest/disk.ts'
import { command } from '../support/command.ts'
import { swapNames } from '../support/link-swapper.ts'
import { machineTest } from '../vm/inside/machine-test.ts'

const KIB = 1024
const MIB = 1024 * KIB
const backend = createOcfs2()

for (const kind of ['ocfs2', 'ocfs2-1m'] as const) {
  machineTest(
    kind,
    'a clone of a disk with space behind its end is deleted without harm',
    async ({ mount }) => {
      for (const size of [0, 10, 3 * MIB, 3 * MIB + 1]) {
        const disk = await Disk.create(join(mount, `disk-${size}`))
        await disk.fill(0, size, 1)
        await disk.sync()
        await disk.fallocate('keep-size', size, 4 * MIB)
        const clone = join(mount, `clone-${size}`)
        await backend.clone(disk.path, clone)
        assert.ok((await readFile(clone)).equals(await readFile(disk.path)))
        await unlink(clone)
        await unlink(disk.path)
        // The volume is remounted read-only when it finds a clone that counts more clusters than it has.
        await writeFile(join(mount, 'probe'), 'still writable', { flush: true })
      }
    },
  )
}

for (const attribute of ['i', 'a']) {
  machineTest(
    'ocfs2',
    `a disk is cloned that was made unchangeable by chattr +${attribute}`,
    async ({ mount }) => {
      const disk = await Disk.create(join(mount, 'disk'))
      await disk.fill(0, MIB, 1)
      await disk.sync()
      await command('chattr', [`+${attribute}`, disk.path])
      const clone = join(mount, 'clone')
      await backend.clone(disk.path, clone)
      assert.ok((await readFile(clone)).equals(await readFile(disk.path)))
      await writeFile(clone, 'a clone can be written', { flag: 'r+' })
      await command('chattr', [`-${attribute}`, disk.path])
    },
  )
}

machineTest('ocfs2', 'a link that is swapped into the place of a disk is never cloned', async ({ mount }) => {
  await mkdir(join(mount, 'inside'))
  const disk = join(mount, 'inside/disk')
  await writeFile(disk, 'of the VM')
  await writeFile(join(mount, 'secret'), 'of another')
  await symlink(join(mount, 'secret'), join(mount, 'inside/trap'))
  const outcomes = new Map<string, number>()
  await using held = await holdBeneath(mount, disk)
  await using _swapping = await swapNames(disk, join(mount, 'inside/trap'))
  for (let turn = 0; turn < 60; turn++) {
    const clone = join(mount, `clone-${turn}`)
    const outcome = await backend.clone(held.path, clone).then(
      () => readFile(clone, 'utf8'),
      (error: unknown) => systemCode(error) ?? String(error),
    )
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  const seen = JSON.stringify([...outcomes])
  assert.ok(outcomes.has('of the VM'), seen)
  outcomes.delete('of the VM')
  // ENOENT and ESTALE: the name led to the link when it was compared; EPERM: when the kernel looked it up.
  for (const outcome of outcomes.keys())
    assert.ok(['ENOENT', 'ESTALE', 'EPERM', 'EXDEV'].includes(outcome), seen)
})

const SPACE: readonly (readonly [
  what: string,
  size: number,
  FallocateOperation | undefined,
  from: number,
  expected: boolean,
])[] = [
  ['an empty disk', 0, undefined, 0, false],
  ['a disk inside its inode', 10, undefined, 0, false],
  ['a full disk', MIB + 1, undefined, 0, false],
  ['an allocated disk', 8 * MIB, 'allocate', 0, false],
  ['an empty disk with space', 0, 'keep-size', 0, true],
  ['a small disk with space', 10, 'keep-size', 0, true],
  ['a disk with space that begins at its end', MIB, 'keep-size', MIB, true],
  ['a disk with space far behind its end', MIB, 'keep-size', 64 * MIB, true],
]

machineTest(
  'ocfs2',
  'space behind the end is found wherever it begins, and only there',
  async ({ mount }) => {
    for (const [what, size, operation, from, expected] of SPACE) {
      const disk = await Disk.create(join(mount, what))
      if (operation === 'allocate') await disk.fallocate(operation, from, size)
      else await disk.fill(0, size, 1)
      if (operation === 'keep-size') await disk.fallocate(operation, from, 2 * MIB)
      assert.equal(await hasSpaceBehindEnd(disk.path), expected, what)
    }
  },
)

machineTest(
  'ocfs2',
  'a clone belongs to this program alone, and does not keep the mode of the disk',
  async ({ mount }) => {
    const disk = await Disk.create(join(mount, 'disk'), MIB)
    await backend.clone(disk.path, join(mount, 'clone'))
    assert.equal((await stat(join(mount, 'clone'))).mode & 0o777, 0o600)
  },
)

machineTest(
  'ocfs2-norefcount',
  'a volume without refcount is refused with the command that adds it',
  async ({ mount }) => {
    const trialDirectory = join(mount, 'trial')
    await mkdir(trialDirectory)
    const mounted = (await readMounts()).find(({ mountPoint }) => mountPoint === mount)
    assert.ok(mounted)
    const report = await backend.checkCompatibility({ mount: mounted, trialDirectory })
    assert.equal(report.compatible, false)
    assert.match(
      report.reasons.join(),
      /without the refcount feature: add it with tunefs\.ocfs2 --fs-features=refcount/,
    )
  },
)
