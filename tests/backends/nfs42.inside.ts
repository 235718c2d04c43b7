import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type CompatibilityTarget, type Extent, systemCode } from 'diskferry/core'
import { readMounts } from 'diskferry/native'
import createNfs42 from '../../backends/nfs42/index.ts'
import { Disk } from '../../conformance/guest/disk.ts'
import { judgeMap } from '../../conformance/oracle/judge-map.ts'
import type { MachineKindName } from '../vm/inside/kinds.ts'
import { machineTest } from '../vm/inside/machine-test.ts'
import { remakeExport } from '../vm/inside/remake-export.ts'

const KIB = 1024
const MIB = 1024 * KIB
/** A second a try, and one more try. */
const SOFT = ['soft', 'timeo=10', 'retrans=1']
const COMPATIBLE = { compatible: true, reasons: [] }
const backend = createNfs42()

const REFUSED: readonly (readonly [MachineKindName, sentence: string, reason: RegExp])[] = [
  ['nfs41', 'a mount of 4.1 is refused, saying which version it needs', /with NFS 4\.1; cloning needs 4\.2/],
  [
    'nfs3',
    'a mount of version 3 is refused, saying which version it needs',
    /with NFS 3; cloning needs 4\.2/,
  ],
  [
    'nfs42-ext4',
    'a server whose filesystem has no clones is refused, saying what to export',
    /the filesystem that it exports can't clone: export an XFS with reflink=1 or a btrfs/,
  ],
]

for (const [kind, sentence, reason] of REFUSED) {
  machineTest(kind, sentence, async ({ mount }) => {
    const report = await backend.checkCompatibility(await checkTarget(mount))
    assert.equal(report.compatible, false)
    assert.match(report.reasons.join(), reason)
  })
}

machineTest('nfs42', 'a mount of 4.2 is compatible, and nothing of the trial stays', async ({ mount }) => {
  const target = await checkTarget(mount)
  assert.deepEqual(await backend.checkCompatibility(target), COMPATIBLE)
  assert.deepEqual(await readdir(target.trialDirectory), [])
})

machineTest(
  'nfs42',
  'a disk that is removed or replaced on the server is an error, or the new disk, never a mixture',
  async ({ mount, filesystem: { serverDirectory }, signal }) => {
    const base = await fullDisk(mount, 'base', 1)
    const disk = await fullDisk(mount, 'disk', 1)
    assert.deepEqual(await mapOf(disk.path), [extent(0, MIB)])

    const replacement = await Disk.create(join(serverDirectory, 'replacement'), 2 * MIB)
    await replacement.fill(MIB, 64 * KIB, 2)
    await replacement.sync()
    await rename(replacement.path, join(serverDirectory, 'disk'))
    await untilFound(disk.path)
    assert.equal(await judgeMap(disk.path, await mapOf(disk.path), undefined, signal), undefined)
    const { ranges } = await backend.diff(base.path, disk.path, {}, signal)
    const changed = []
    for await (const batch of ranges)
      changed.push(...batch.map(({ start, length, kind }) => [start, length, kind]))
    assert.deepEqual(changed, [
      [0, MIB, 'zero'],
      [MIB, 64 * KIB, 'data'],
    ])

    const content = await readFile(disk.path)
    await rm(join(serverDirectory, 'disk'))
    await untilGone(async () => {
      const clone = join(mount, 'clone')
      try {
        await backend.clone(disk.path, clone)
      } catch (error) {
        await assert.rejects(stat(clone), isGone)
        throw error
      }
      assert.ok((await readFile(clone)).equals(content), 'the clone is not what was removed')
      await rm(clone)
    })
    await untilGone(() => mapOf(disk.path))
  },
)

machineTest(
  'nfs42',
  'a disk that is removed on the server while it is compared ends the comparison with an error',
  async ({ mount, filesystem: { serverDirectory }, signal }) => {
    const [base, target] = [
      await fullDisk(mount, 'base', 1, 8 * MIB),
      await fullDisk(mount, 'target', 2, 8 * MIB),
    ]
    const { ranges } = await backend.diff(base.path, target.path, {}, signal)
    await rm(join(serverDirectory, 'target'))
    await assert.rejects(async () => {
      for await (const _batch of ranges);
    }, isGone)
  },
)

machineTest(
  'nfs42',
  'an export that was made anew is a stale mount, which the reason tells to mount again',
  async ({ mount, filesystem }) => {
    const disk = await fullDisk(mount, 'disk', 1)
    const target = await checkTarget(mount)
    assert.deepEqual(await backend.checkCompatibility(target), COMPATIBLE)
    await remakeExport(filesystem)
    await assert.rejects(mapOf(disk.path), isGone)
    await assert.rejects(backend.clone(disk.path, join(mount, 'clone')), isGone)
    const report = await backend.checkCompatibility(target)
    assert.equal(report.compatible, false)
    assert.match(report.reasons.join(), /stale handle\): unmount and mount it again/)
  },
)

machineTest(
  'nfs42',
  'a soft mount ends with an error when its server does not answer, and works when it does again',
  async ({ mount, filesystem: { server } }) => {
    const disk = await fullDisk(mount, 'disk', 1)
    const target = await checkTarget(mount)
    await server!.pause()
    // Before the lease is over: from then on the kernel waits for the server even on a soft mount.
    await assert.rejects(mapOf(disk.path), saysUnanswered)

    await server!.resume()
    await backend.clone(disk.path, join(mount, 'clone'))
    assert.ok((await readFile(join(mount, 'clone'))).equals(await readFile(disk.path)))
    assert.deepEqual(await backend.checkCompatibility(target), COMPATIBLE)
  },
  { mountOptions: SOFT },
)

machineTest(
  'nfs42',
  'a soft mount whose server does not answer is refused, saying so',
  async ({ mount, filesystem: { server } }) => {
    const target = await checkTarget(mount)
    await server!.pause()
    const report = await backend.checkCompatibility(target)
    assert.equal(report.compatible, false)
    assert.match(report.reasons.join(), /the NFS server does not answer: check it and the network/)
  },
  { mountOptions: SOFT },
)

/** What a check of the mount looks at. Made once, while the server answers. */
async function checkTarget(mount: string): Promise<CompatibilityTarget> {
  const trialDirectory = join(mount, 'trial')
  await mkdir(trialDirectory)
  const mounted = (await readMounts()).find(({ mountPoint }) => mountPoint === mount)
  assert.ok(mounted)
  return { mount: mounted, trialDirectory }
}

async function fullDisk(mount: string, name: string, generation: number, size = MIB): Promise<Disk> {
  const disk = await Disk.create(join(mount, name))
  await disk.fill(0, size, generation)
  await disk.sync()
  return disk
}

async function mapOf(file: string): Promise<readonly Extent[]> {
  const extents: Extent[] = []
  for await (const batch of backend.extentMap(file)) extents.push(...batch)
  return extents
}

/** The client may hold the handle of the file that is gone a moment longer: then there is an error, as there should be. */
async function untilFound(file: string): Promise<void> {
  for (;;) {
    try {
      await mapOf(file)
      return
    } catch (error) {
      isGone(error)
    }
    await delay(100)
  }
}

/**
 * While the server holds what was removed open for its client, which closes it a moment after its program did, that may
 * still be given the file as it was.
 */
async function untilGone(use: () => Promise<unknown>): Promise<void> {
  for (let gone = false; !gone; ) {
    gone = await use().then(() => false, isGone)
    if (!gone) await delay(100)
  }
}

function extent(start: number, length: number): Extent {
  return { start, length, physicalStart: null, unwritten: false, opaque: 'no-address' }
}

function isGone(error: unknown): boolean {
  assert.match(String(systemCode(error)), /^(ENOENT|ESTALE)$/, String(error))
  return true
}

function saysUnanswered(error: unknown): boolean {
  assert.match(String(systemCode(error)), /^(EIO|ETIMEDOUT)$/, String(error))
  return true
}
