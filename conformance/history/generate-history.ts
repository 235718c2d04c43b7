import { Random } from '../random.ts'
import { MOST_DISK_BYTES, type MovedFile, type Step, type StepName } from './steps.ts'

const KIB = 1024
const BLOCK = 4 * KIB
const MIB = 1024 * KIB
const LEAST_STEPS = 30
const MOST_STEPS = 60
/** A history without a second snapshot would compare nothing. */
const SNAPSHOT_EVERY = 8

const WEIGHTS: Readonly<Record<StepName, number>> = {
  write: 12,
  'write-compressible': 3,
  'write-zeros': 3,
  rewrite: 2,
  'punch-hole': 5,
  'zero-range': 3,
  allocate: 2,
  'keep-size': 2,
  share: 2,
  truncate: 2,
  relocate: 3,
  'copy-and-rename': 1,
  defragment: 0.3,
  sync: 2,
  snapshot: 3,
}

/** What guests, hypervisors and administrators do to a disk, at random: the same seed gives the same history. */
export function generateHistory(seed: number): readonly Step[] {
  const random = new Random(seed)
  const size = random.between(64 * KIB, 2 * MIB)
  const steps: Step[] = [{ do: 'truncate', size }]
  const places = [0, size]
  const count = random.between(LEAST_STEPS, MOST_STEPS)
  for (let index = 1; index <= count; index++) {
    const step = randomStep(random, size, places, index)
    if ('start' in step) places.push(step.start)
    steps.push(step)
    if (index % SNAPSHOT_EVERY === 0) steps.push({ do: 'snapshot' })
  }
  return [...steps, { do: 'snapshot' }]
}

function randomStep(random: Random, size: number, places: readonly number[], generation: number): Step {
  const name = random.weighted(WEIGHTS)
  switch (name) {
    case 'write':
    case 'write-compressible':
      return { do: name, ...range(random, size, places), generation }
    case 'share':
      return { do: name, from: aligned(random, size), ...blocks(random, size, places) }
    case 'truncate':
      return { do: name, size: random.between(1, Math.min(MOST_DISK_BYTES, size * 2)) }
    case 'relocate':
      return { do: name, file: movedFile(random), ...blocks(random, size, places) }
    case 'copy-and-rename':
    case 'defragment':
      return { do: name, file: movedFile(random) }
    case 'sync':
    case 'snapshot':
      return { do: name }
    default:
      return random.chance(0.5)
        ? { do: name, ...range(random, size, places) }
        : { do: name, ...blocks(random, size, places) }
  }
}

/** Near something that was done before more often than not, as guests do. */
function range(random: Random, size: number, places: readonly number[]) {
  const length = random.magnitude(1, Math.min(size, 512 * KIB))
  const near = random.pick(places) + random.between(-4 * BLOCK, 4 * BLOCK)
  const start = random.chance(0.4) ? random.between(0, size) : near
  return { start: Math.max(0, Math.min(MOST_DISK_BYTES - length, start)), length }
}

function blocks(random: Random, size: number, places: readonly number[]) {
  const { start, length } = range(random, size, places)
  return { start: Math.floor(start / BLOCK) * BLOCK, length: Math.ceil(length / BLOCK) * BLOCK }
}

function aligned(random: Random, size: number): number {
  return random.between(0, Math.floor(size / BLOCK)) * BLOCK
}

function movedFile(random: Random): MovedFile {
  return random.chance(0.4) ? 'disk' : random.between(0, 9)
}
