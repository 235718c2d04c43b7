import assert from 'node:assert/strict'
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import type { Check } from '../check.ts'
import type { CheckContext } from '../check-context.ts'
import { rewriteFragments } from '../guest/fragments.ts'
import { fingerprint } from '../oracle/fingerprint.ts'
import { ABORT_PATIENCE_MS } from '../time-limit.ts'

/** Enough that a map of it is not done in one call; fewer where each of them may be a round trip to a server. */
const FRAGMENTS = 10_000
const FRAGMENTS_BY_CONTENT = 2000

export const abortChecks: readonly Check[] = [
  { name: 'a clone that was aborted before it began fails, and leaves nothing', run: checkCloneBefore },
  {
    name: 'a clone that is aborted while it runs leaves the target whole or absent, and nothing else',
    run: checkCloneDuring,
  },
  { name: 'a map ends with an error soon after it is aborted', run: checkMap },
  { name: 'a difference ends with an error soon after it is aborted', run: checkDifference },
]

async function checkCloneBefore(context: CheckContext): Promise<void> {
  const disk = await context.fullDisk(64 * 1024)
  const clone = context.backend.clone(disk.path, context.path('clone'), AbortSignal.abort())
  await assert.rejects(clone, 'its signal was aborted before the call, and it made a clone all the same')
  assert.deepEqual(await context.listing(), ['disk.img'])
}

async function checkCloneDuring(context: CheckContext): Promise<void> {
  const disk = await context.fragmentedDisk(fragments(context))
  const aborter = new AbortController()
  const cloning = context.backend.clone(disk.path, context.path('clone'), aborter.signal)
  aborter.abort()
  const made = await settles(cloning)
  assert.deepEqual(await context.listing(), made ? ['clone', 'disk.img'] : ['disk.img'])
  if (made) assert.equal(await fingerprint(context.path('clone')), await fingerprint(disk.path))
}

async function checkMap(context: CheckContext): Promise<void> {
  const { backend } = context
  const disk = await context.fragmentedDisk(fragments(context))
  await assert.rejects(
    exhaust(backend.extentMap(disk.path, AbortSignal.abort())),
    'its signal was aborted before the call, and it gave the whole map all the same',
  )
  const aborter = new AbortController()
  const aborted = once(aborter.signal, 'abort')
  let batches = 0
  const reading = (async () => {
    for await (const _batch of backend.extentMap(disk.path, aborter.signal)) {
      batches++
      aborter.abort()
    }
  })()
  // The first batch may take as long as it wants: patience begins with the abort.
  await Promise.race([aborted, reading])
  await settles(reading)
  assert.ok(batches <= 2, `it went on for ${batches - 1} batches after it was aborted`)
}

async function checkDifference(context: CheckContext): Promise<void> {
  const { backend } = context
  const disk = await context.fragmentedDisk(fragments(context))
  const base = await context.clone(disk, 'base')
  await rewriteFragments(disk.path, everyOther(fragments(context)), 2)
  const target = await context.clone(disk, 'target')
  const compare = async (signal: AbortSignal) => {
    const { ranges } = await backend.diff(base.path, target.path, {}, signal)
    await exhaust(ranges)
  }
  assert.equal(
    await settles(compare(AbortSignal.abort())),
    false,
    'its signal was aborted before the call, and it gave the whole difference all the same',
  )
  const aborter = new AbortController()
  const comparing = compare(aborter.signal)
  aborter.abort()
  const done = await settles(comparing)
  assert.equal(
    done,
    false,
    'it was aborted as soon as it was called, and gave the whole difference all the same',
  )
}

function fragments({ settings, physical }: CheckContext): number {
  return Math.min(physical ? FRAGMENTS : FRAGMENTS_BY_CONTENT, settings.extents)
}

function* everyOther(count: number): Generator<number> {
  for (let number = 0; number < count; number += 2) yield number
}

async function exhaust(batches: AsyncIterable<unknown>): Promise<void> {
  for await (const _batch of batches) await undefined
}

/** Waits for the end of something that was aborted. @returns whether it succeeded all the same */
async function settles(work: Promise<unknown>): Promise<boolean> {
  const started = performance.now()
  const outcome = await Promise.race([
    work.then(
      () => true,
      () => false,
    ),
    delay(ABORT_PATIENCE_MS, undefined, { ref: false }),
  ])
  if (outcome !== undefined) return outcome
  const seconds = Math.round((performance.now() - started) / 1000)
  return assert.fail(`it still ran ${seconds} s after it was aborted`)
}
