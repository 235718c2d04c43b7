/** What reads snapshots and disks does not follow a link, whenever it is put there. */

import assert from 'node:assert/strict'
import { copyFile, mkdir, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeEveryOtherBlock } from '../../../conformance/guest/fragments.ts'
import { DiskferryError } from '../../../core/errors.ts'
import { systemClock } from '../../../core/leases/lease-clock.ts'
import { MountGuard } from '../../../core/repositories/mount-guard.ts'
import { Orphans } from '../../../core/snapshots/orphans.ts'
import { PlainAdoption } from '../../../core/snapshots/plain-adoption.ts'
import { surveySnapshots } from '../../../core/snapshots/snapshot-survey.ts'
import { StaticInventory } from '../../../inventory/static/static-inventory.ts'
import { holdBeneath, readMounts } from '../../../native/index.ts'
import { type CoreOptions, makeCore, makeDisk, type TestCore, writeAt } from '../../support/core.ts'
import { swapNames } from '../../support/link-swapper.ts'
import { type Bench, MIB, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'
import { makeWatches } from '../../support/watches.ts'

const SIZE = MIB
const HOUR = 3_600_000
const ORPHAN_ID = '0f6c5d5e-2f3b-4a57-9f3e-6a1d2c3b4a59'
const EXTENTS = 2000

interface TrapBench {
  readonly core: TestCore
  readonly root: string
  readonly disk: string
  /** On the same filesystem, but outside of the repository. */
  readonly elsewhere: string
  readonly signal: AbortSignal
  /** Until it is disposed of, a folder of the repository is now itself and now a link to `elsewhere`. */
  swap(folder: string): Promise<AsyncDisposable>
}

function trapTest(
  sentence: string,
  body: (bench: TrapBench) => Promise<void>,
  options?: Partial<CoreOptions>,
) {
  snapshotTest(sentence, async ({ mount, dbFile, signal }: Bench) => {
    const root = join(mount, 'repository')
    const elsewhere = join(mount, 'elsewhere')
    for (const folder of [join(root, 'disks'), join(root, 'CoriolisSnapshots'), elsewhere])
      await mkdir(folder, { recursive: true })
    const disk = await makeDisk(join(root, 'disks'), 'disk.img', SIZE, [[0, Buffer.alloc(SIZE / 2, 1)]])
    await symlink(elsewhere, join(root, 'trap'))
    await using core = await makeCore({
      mounts: [root],
      vms: [{ name: VM, disks: [disk] }],
      dbFile: `${dbFile}-2`,
      requireMountPoint: false,
      ...options,
    })
    const swap = (folder: string) => swapNames(folder, join(root, 'trap'))
    await body({ core, root, disk, elsewhere, signal, swap })
  })
}

trapTest('a lease is neither read nor written behind a link', async ({ core, root, elsewhere, swap }) => {
  const { id } = await core.snapshots.create(VM, WHOLE)
  const folder = join(root, 'CoriolisSnapshots', id)
  const stranger = join(elsewhere, 'snapshot.lease.json')
  await core.leases.take(VM, id, { holder: 'stranger', ttlMs: HOUR })
  await copyFile(join(folder, 'snapshot.lease.json'), stranger)
  await core.leases.release(VM, id)
  const text = await readFile(stranger, 'utf8')
  const seen = new Outcomes()
  {
    await using _swapping = await swap(folder)
    for (let turn = 0; turn < 150; turn++) {
      await seen.of(() => core.leases.get(VM, id).then(({ holder }) => holder))
      await seen.of(() =>
        core.leases.take(VM, id, { holder: 'client', ttlMs: HOUR }).then(({ holder }) => holder),
      )
      await seen.of(() => core.leases.release(VM, id).then(() => 'released'))
    }
  }
  // One that could not be released behind the link is found again.
  seen.areAmong(['client', 'released', 'LEASE_NOT_FOUND', 'SNAPSHOT_DAMAGED'], 'client')
  assert.deepEqual(await readdir(elsewhere), ['snapshot.lease.json'])
  assert.equal(await readFile(stranger, 'utf8'), text)
})

trapTest('a snapshot.json behind a link is not surveyed', async ({ core, root, elsewhere, swap }) => {
  const { id } = await core.snapshots.create(VM, WHOLE)
  const folder = join(root, 'CoriolisSnapshots', id)
  const manifest = JSON.parse(await readFile(join(folder, 'snapshot.json'), 'utf8'))
  await writeFile(join(elsewhere, 'snapshot.json'), JSON.stringify({ ...manifest, vmId: 'stranger' }))
  const watch = await makeWatches().of(root)
  const seen = new Outcomes()
  await using _swapping = await swap(folder)
  for (let turn = 0; turn < 300; turn++) {
    await seen.of(async () => {
      for await (const found of surveySnapshots(root, watch, holdBeneath))
        return found.manifest?.vmId ?? found.state
      return 'nothing'
    })
  }
  seen.areAmong([VM, 'nothing'], VM)
})

trapTest(
  'no map, difference or download is of a file behind a link',
  async ({ core, root, disk, elsewhere, swap }) => {
    const base = await core.snapshots.create(VM, WHOLE)
    await writeAt(disk, 0, Buffer.alloc(4096, 2))
    const { id } = await core.snapshots.create(VM, WHOLE)
    await forgetIdentities(core, root)
    const folder = join(root, 'CoriolisSnapshots', id)
    await copyFile(join(folder, 'snapshot.json'), join(elsewhere, 'snapshot.json'))
    const stranger = await makeDisk(elsewhere, 'disk.img', SIZE, [[0, Buffer.alloc(SIZE, 9)]])
    await symlink(stranger, join(root, 'trap.img'))
    const own = Buffer.concat([Buffer.alloc(4096, 2), Buffer.alloc(4096, 1)])
    const told = (isOwn: boolean) => (isOwn ? 'own' : 'of a stranger')
    const asks = {
      async download() {
        await using opened = await core.snapshots.openDisk(VM, id, 'disk.img')
        const bytes = Buffer.alloc(own.length)
        await opened.read(bytes, 0)
        return told(bytes.equals(own))
      },
      async map() {
        const { disks } = await core.snapshots.get(VM, id, WHOLE)
        return told([...disks[0]!.chunks].reduce((sum, { length }) => sum + length, 0) === SIZE / 2)
      },
      async difference() {
        const { disks } = await core.snapshots.get(VM, id, { ...WHOLE, compareTo: base.id })
        return told(disks[0]!.diff?.changedBytes === 4096)
      },
    }
    for (const swapping of [
      () => swap(folder),
      () => swapNames(join(folder, 'disk.img'), join(root, 'trap.img')),
    ]) {
      await using _swapping = await swapping()
      for (const ask of Object.values(asks)) {
        const seen = new Outcomes()
        for (let turn = 0; turn < 100; turn++) await seen.of(ask)
        seen.areAmong(['own', 'SNAPSHOT_DAMAGED', 'READ_FAILED'], 'own', 'SNAPSHOT_DAMAGED')
      }
    }
  },
)

trapTest('an audit reads no file behind a link', async ({ core, root, disk, elsewhere, swap }) => {
  const base = await core.snapshots.create(VM, WHOLE)
  await writeAt(disk, 0, Buffer.alloc(4096, 2))
  const target = await core.snapshots.create(VM, WHOLE)
  await makeDisk(elsewhere, 'disk.img', SIZE, [[0, Buffer.alloc(SIZE, 9)]])
  const seen = new Outcomes()
  {
    await using _swapping = await swap(join(root, 'CoriolisSnapshots', target.id))
    for (let turn = 0; turn < 80; turn++) {
      await seen.of(async () => {
        await core.audits.start(VM, target.id, { compareTo: base.id })
        await core.audits.ended(VM, target.id)
        const { state, reason } = await core.audits.get(VM, target.id)
        return reason?.includes('behind a link') ? 'link' : `${state} ${reason}`
      })
    }
  }
  seen.areAmong(['link', 'passed null'], 'link')
  await core.audits.start(VM, target.id, { compareTo: base.id })
  await core.audits.ended(VM, target.id)
  assert.equal((await core.audits.get(VM, target.id)).state, 'passed')
})

trapTest(
  'the extents of a file behind a link are not counted for a forecast',
  async ({ core, root, elsewhere, signal, swap }) => {
    await writeFile(join(elsewhere, 'disk.img'), '')
    await writeEveryOtherBlock(join(elsewhere, 'disk.img'), EXTENTS, signal)
    const seen = new Outcomes()
    await using _swapping = await swap(join(root, 'disks'))
    for (let turn = 0; turn < 60; turn++) {
      await seen.of(async () => {
        await core.snapshots.create(VM, WHOLE)
        const { extents } = (await core.store.read(VM)).snapshots.at(-1)!.disks[0]!
        return extents === undefined ? 'not counted' : extents >= EXTENTS ? 'of a stranger' : 'own'
      })
    }
    seen.areAmong(['own', 'not counted', 'VM_NOT_COMPATIBLE', 'CLONE_FAILED'], 'own')
  },
  { forecast: { maxStallMs: 1e6, onLongStall: 'warn' } },
)

trapTest('an orphan is not adopted behind a link', async ({ core, root, disk, elsewhere, swap }) => {
  const folder = join(root, 'CoriolisSnapshots', ORPHAN_ID)
  await mkdir(folder)
  await copyFile(disk, join(folder, 'disk.img'))
  await copyFile(disk, join(elsewhere, 'disk.img'))
  const watches = makeWatches()
  const { store, locks, changes, files } = core
  const orphans = new Orphans({
    inventory: new StaticInventory({
      repositories: [{ id: 'repository-0', mountPoint: root }],
      vms: [
        {
          name: VM,
          uuid: '0004fb00-0006-0000-0000-000000000001',
          friendlyName: VM,
          disks: [{ path: disk, deviceName: 'xvda', mode: 'w' }],
        },
      ],
    }),
    guard: new MountGuard({ list: readMounts }, false),
    watches,
    hold: holdBeneath,
    store,
    locks,
    changes,
    files,
    plain: new PlainAdoption(core.repositories, store, watches, holdBeneath),
    clock: systemClock,
  })
  await using held = await open(folder)
  const seen = new Outcomes()
  {
    await using _swapping = await swap(folder)
    for (let turn = 0; turn < 60; turn++) {
      await seen.of(() => orphans.adopt(ORPHAN_ID).then(() => 'adopted'))
      await store.write({ version: 1, vmId: VM, snapshots: [] })
      for (const name of ['snapshot.json', '.snapshot.json.adopting'])
        await rm(`/proc/self/fd/${held.fd}/${name}`, { force: true })
    }
  }
  seen.areAmong(['adopted', 'SNAPSHOT_NOT_FOUND', 'ELOOP'], 'adopted')
  assert.deepEqual(await readdir(elsewhere), ['disk.img'])

  await orphans.adopt(ORPHAN_ID)
  const { inode, birthTimeNs } = (await store.read(VM)).snapshots[0]!.disks[0]!
  assert.ok(inode !== undefined && birthTimeNs !== undefined, 'it is known again as a clone of ours is')
})

/** As snapshots of before identities were recorded: then nothing but confinement tells a stranger of the same size. */
async function forgetIdentities(core: TestCore, root: string): Promise<void> {
  const record = await core.store.read(VM)
  const without = <Disk extends object>(disk: Disk) => ({ ...disk, inode: undefined, birthTimeNs: undefined })
  for (const { id } of record.snapshots) {
    const file = join(root, 'CoriolisSnapshots', id, 'snapshot.json')
    const manifest = JSON.parse(await readFile(file, 'utf8')) as { readonly disks: readonly object[] }
    await writeFile(file, JSON.stringify({ ...manifest, disks: manifest.disks.map(without) }))
  }
  const snapshots = record.snapshots.map((snapshot) => ({ ...snapshot, disks: snapshot.disks.map(without) }))
  await core.store.write(JSON.parse(JSON.stringify({ ...record, snapshots })))
}

/** How often what came of something that is done again and again: a result, or the code of an error. */
class Outcomes {
  readonly #counts = new Map<string, number>()

  async of(work: () => Promise<string>): Promise<void> {
    let outcome: string
    try {
      outcome = await work()
    } catch (error) {
      outcome = codeOf(error) ?? String(error)
    }
    this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1)
  }

  /** @param atLeastOnce without it nothing was tried */
  areAmong(allowed: readonly string[], ...atLeastOnce: readonly string[]): void {
    const seen = JSON.stringify([...this.#counts])
    for (const outcome of this.#counts.keys()) assert.ok(allowed.includes(outcome), seen)
    for (const outcome of atLeastOnce) assert.ok(this.#counts.has(outcome), seen)
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof DiskferryError ? error.code : (error as NodeJS.ErrnoException).code
}
