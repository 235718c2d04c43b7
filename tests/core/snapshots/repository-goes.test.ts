/** A repository that goes, or becomes read-only, at each step of a change: the change is done, or undone, or refused. */

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import xfs from '../../../backends/xfs/index.ts'
import { DiskferryError } from '../../../core/errors.ts'
import { readMounts } from '../../../native/index.ts'
import { command } from '../../support/command.ts'
import { makeCore, makeDisk, type TestCore } from '../../support/core.ts'
import type { LoopFilesystem } from '../../support/loop-filesystem.ts'
import { leftBehind } from '../../support/snapshot-folders.ts'
import { snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'

interface Fault {
  readonly name: string
  /** What a client may hear. */
  readonly codes: readonly string[]
  /** @returns whether it came about */
  strike(filesystem: LoopFilesystem): Promise<boolean>
  /** Nothing is written meanwhile to what is found there. */
  lookBelow?(mount: string): Promise<void>
  mend(filesystem: LoopFilesystem): Promise<void>
}

const FAULTS: readonly Fault[] = [
  {
    name: 'is unmounted lazily',
    codes: ['VM_NOT_COMPATIBLE', 'REPOSITORY_NOT_MOUNTED'],
    async strike({ mountPoint }) {
      await command('umount', ['--lazy', mountPoint])
      return true
    },
    async lookBelow(mount) {
      assert.deepEqual(await readdir(mount), [])
    },
    mend: (filesystem) => filesystem.mount(),
  },
  {
    name: 'becomes read-only',
    codes: ['REPOSITORY_READ_ONLY'],
    async strike(filesystem) {
      try {
        await filesystem.remountReadOnly()
        return true
      } catch (error) {
        // The kernel refuses it while a file is open for writing: that of the VM's lock is.
        assert.match(String(error), /busy/)
        return false
      }
    },
    mend: (filesystem) => filesystem.remountWritable(),
  },
]

const BYTES = 65_536
/** Before each change. */
const SNAPSHOTS = 2

const CHANGES: Readonly<Record<string, (core: TestCore) => Promise<unknown>>> = {
  create: (core) => core.snapshots.create(VM, WHOLE),
  purge: (core) => core.snapshots.purge(VM),
}

for (const fault of FAULTS) {
  snapshotTest(
    `a repository that ${fault.name} at any step of a create or a purge has whole snapshots and nothing else afterwards`,
    async ({ mount, dbFile, filesystem, t }) => {
      let stepsLeft = Number.POSITIVE_INFINITY
      let struck = false
      const step = async () => {
        stepsLeft -= 1
        if (stepsLeft === 0) struck = await fault.strike(filesystem)
      }
      const real = xfs()
      const backend = {
        manifest: real.manifest,
        checkCompatibility: real.checkCompatibility.bind(real),
        extentMap: real.extentMap.bind(real),
        diff: real.diff.bind(real),
        async clone(...args: Parameters<typeof real.clone>) {
          await step()
          await real.clone(...args)
        },
      }
      const list = async () => {
        const before = await readMounts()
        await step()
        return before
      }
      const makeSmall = (name: string) => makeDisk(mount, name, BYTES, [[0, Buffer.from(name)]])
      const disks = [await makeSmall('first.img'), await makeSmall('second.img')]
      await using core = await makeCore({
        mounts: [mount],
        vms: [{ name: VM, disks }],
        dbFile,
        backends: [backend],
        mountTable: { list },
      })
      const contents = await Promise.all(disks.map((path) => readFile(path)))
      const known = async () => {
        const { snapshots } = await core.store.read(VM)
        assert.ok(snapshots.every(({ state }) => state === 'ready'))
        for (const { disks: clones } of snapshots)
          assert.deepEqual(await Promise.all(clones.map(({ path }) => readFile(path))), contents)
        const ids = snapshots.map(({ id }) => id)
        assert.deepEqual(await leftBehind(mount), ids.toSorted())
        return ids
      }

      for (const [what, change] of Object.entries(CHANGES)) {
        const heard: string[] = []
        for (let at = 1; ; at++) {
          for (const id of (await known()).slice(SNAPSHOTS)) await core.snapshots.delete(VM, id)
          while ((await known()).length < SNAPSHOTS) await core.snapshots.create(VM, WHOLE)
          const before = await known()
          struck = false
          stepsLeft = at
          const outcome = await change(core).then(() => 'done', codeOf)
          const isOver = stepsLeft > 0
          stepsLeft = Number.POSITIVE_INFINITY
          heard.push(struck ? outcome : `(${outcome})`)
          if (!struck) assert.equal(outcome, 'done')
          else {
            assert.ok(outcome === 'done' || fault.codes.includes(outcome), `${what}, step ${at}: ${outcome}`)
            await fault.lookBelow?.(mount)
            await fault.mend(filesystem)
            await core.journal.recoverAll()
          }
          const after = await known()
          if (outcome === 'done') assert.equal(after.length, what === 'create' ? before.length + 1 : 0)
          else if (what === 'create') assert.deepEqual(after, before)
          if (isOver) break
        }
        t.diagnostic(`${what}: ${heard.join(' ')}`)
      }
    },
  )
}

function codeOf(error: unknown): string {
  return error instanceof DiskferryError ? error.code : String(error)
}
