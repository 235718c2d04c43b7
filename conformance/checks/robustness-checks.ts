import assert from 'node:assert/strict'
import type { Check } from '../check.ts'
import type { CheckContext } from '../check-context.ts'
import { Disk } from '../guest/disk.ts'
import { rewriteFragments } from '../guest/fragments.ts'
import { forgottenDescriptors, openDescriptors } from '../open-descriptors.ts'
import { fingerprint } from '../oracle/fingerprint.ts'

const KIB = 1024
const AT_ONCE = 8
const REPEATS = 5
/** Of the disk that is mapped and compared again and again: one of this many, or fewer where the suite is told of few. */
const FRAGMENTS = 500
const FRAGMENTS_SHARE = 20

export const robustnessChecks: readonly Check[] = [
  { name: 'a missing file is an error, whichever operation meets it', run: checkMissing },
  { name: 'eight clones at once, of one disk and of eight, are whole', run: checkClonesAtOnce },
  {
    name: 'of eight clones to one target at once, one succeeds and the others find it there',
    run: checkRace,
  },
  { name: 'eight maps and eight differences at once are right', run: checkReadsAtOnce },
  { name: 'another instance of the backend knows as much: nothing is held between calls', run: checkNoState },
  { name: 'a map or a difference that is left early closes what it opened', run: checkLeftEarly },
  { name: 'an operation that fails closes what it opened', run: checkFailuresClose },
]

async function checkMissing(context: CheckContext): Promise<void> {
  const disk = await context.fullDisk(64 * KIB)
  const missing = new Disk(context.path('missing'))
  await assert.rejects(context.map(missing), 'a map of a missing file was given')
  await assert.rejects(context.difference(missing, disk), 'the base is missing, and there is a difference')
  await assert.rejects(context.difference(disk, missing), 'the target is missing, and there is a difference')
  assert.deepEqual(await context.listing(), ['disk.img'])
}

async function checkClonesAtOnce(context: CheckContext): Promise<void> {
  const numbers = Array.from({ length: AT_ONCE }, (_, index) => index)
  const one = await context.fullDisk(256 * KIB, 'one')
  const disks: Disk[] = []
  for (const number of numbers)
    disks.push(await context.fullDisk(64 * KIB + number, `disk-${number}`, number + 2))
  const clones = await Promise.all([
    ...numbers.map((number) => context.clone(one, `of-one-${number}`)),
    ...numbers.map((number) => context.clone(disks[number]!, `of-disk-${number}`)),
  ])
  for (const [index, clone] of clones.entries()) {
    const source = index < AT_ONCE ? one : disks[index - AT_ONCE]!
    assert.equal(await fingerprint(clone.path), await fingerprint(source.path), `'${clone.path}'`)
  }
  assert.equal((await context.listing()).length, 1 + AT_ONCE + 2 * AT_ONCE, 'files were left in the folder')
}

async function checkRace(context: CheckContext): Promise<void> {
  const disks: Disk[] = []
  for (let number = 0; number < AT_ONCE; number++)
    disks.push(await context.fullDisk(64 * KIB, `disk-${number}`, number + 1))
  const outcomes = await Promise.allSettled(disks.map((disk) => context.clone(disk, 'target')))
  const winners = disks.filter((_, index) => outcomes[index]!.status === 'fulfilled')
  assert.equal(winners.length, 1, `${winners.length} of ${AT_ONCE} clones to one target succeeded`)
  assert.equal(await fingerprint(context.path('target')), await fingerprint(winners[0]!.path))
  assert.equal((await context.listing()).length, AT_ONCE + 1, 'files were left in the folder')
}

async function checkReadsAtOnce(context: CheckContext): Promise<void> {
  const disk = await context.fullDisk(256 * KIB)
  const base = await context.clone(disk, 'base')
  await disk.fill(50_000, 50_000, 2)
  const target = await context.clone(disk, 'target')
  const numbers = Array.from({ length: AT_ONCE }, (_, index) => index)
  await Promise.all(
    numbers.flatMap((number) => [
      context.checkMap(number % 2 === 0 ? base : target),
      number % 2 === 0 ? context.checkDifference(base, target) : context.checkDifference(target, base),
    ]),
  )
}

async function checkNoState(context: CheckContext): Promise<void> {
  const { suite } = context
  if (!suite.hasFactory)
    context.note('no factory was given, only a backend: its own second answer was looked at')
  const disk = await context.fullDisk(512 * KIB)
  const base = await context.clone(disk, 'base')
  await disk.fill(100_000, 50_000, 2)
  const target = await context.clone(disk, 'target')
  for (const backend of [suite.backend, suite.secondBackend, suite.backend]) {
    await context.checkDifference(base, target, undefined, backend)
    await context.checkDifference(target, base, undefined, backend)
  }
}

async function checkLeftEarly(context: CheckContext): Promise<void> {
  const { backend, settings, signal } = context
  const count = Math.min(FRAGMENTS, Math.ceil(settings.extents / FRAGMENTS_SHARE))
  const disk = await context.fragmentedDisk(count)
  const base = await context.clone(disk, 'base')
  await rewriteFragments(disk.path, [0, Math.floor(count / 5), Math.floor((count * 4) / 5)], 2)
  const target = await context.clone(disk, 'target')
  await expectNothingOpen('extentMap(), left after the first batch', async () => {
    for await (const _batch of backend.extentMap(target.path, signal)) break
  })
  await expectNothingOpen('diff(), left after the first batch', async () => {
    const { ranges } = await backend.diff(base.path, target.path, {}, signal)
    for await (const _batch of ranges) break
  })
  await expectNothingOpen('extentMap(), read to the end', () => context.map(target))
  await expectNothingOpen('diff(), read to the end', () => context.difference(base, target))
}

async function checkFailuresClose(context: CheckContext): Promise<void> {
  const disk = await context.fullDisk(64 * KIB)
  const missing = new Disk(context.path('missing'))
  const aborted = AbortSignal.abort()
  const fails: Readonly<Record<string, () => Promise<unknown>>> = {
    'clone() onto an existing target': () => context.clone(disk, 'disk.img'),
    'clone() into a missing folder': () => context.clone(disk, 'nowhere/clone'),
    'diff() with a missing base': () => context.difference(missing, disk),
    'diff() with a missing target': () => context.difference(disk, missing),
    'clone(), aborted': () => context.backend.clone(disk.path, context.path('clone'), aborted),
  }
  for (const [what, fail] of Object.entries(fails)) {
    await expectNothingOpen(what, () => assert.rejects(fail(), `${what} did not fail`))
  }
}

async function expectNothingOpen(what: string, work: () => Promise<unknown>): Promise<void> {
  const before = openDescriptors()
  for (let repeat = 0; repeat < REPEATS; repeat++) await work()
  const forgotten = await forgottenDescriptors(before)
  assert.equal(
    forgotten.length,
    0,
    `after ${what}, ${REPEATS} times, these are open: ${forgotten.join(', ')}`,
  )
}
