/**
 * Runs one target in a process of its own, which its parent watches: arguments are the module with the targets, the
 * target's name, the seed, how many milliseconds, the file that each input is written to before it is read, and the folder
 * of the inputs that are read first, which need not be there.
 */
import { existsSync, ftruncateSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DiskferryError } from '../../core/errors.ts'
import { Random } from '../support/random.ts'
import { LEAST_INPUTS } from './budget.ts'
import { mutate } from './mutate.ts'
import { type FuzzTarget, REFUSED } from './target.ts'

const MIB = 1024 * 1024
/** Of memory, between the first tenth of the time and the end; caches of compiled code are a few. */
const MAX_GROWTH_BYTES = 24 * MIB
const BEAT_MS = 100
const PATIENT_INPUTS = 20 * LEAST_INPUTS

/** Heap and buffers that are really in use. */
function memoryInUse(): number {
  globalThis.gc!()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const [module = '', name = '', seed = '', milliseconds = '', file = '', found = ''] = process.argv.slice(2)
const { TARGETS } = (await import(module)) as { TARGETS: Readonly<Record<string, FuzzTarget>> }
const target = TARGETS[name]!
const corpus = await target.corpus()
const words = (target.words ?? []).map((word) => Buffer.from(word, 'latin1'))
const random = new Random(Number(seed))
const descriptor = openSync(file, 'w')

async function read(input: Buffer): Promise<boolean> {
  ftruncateSync(descriptor, 0)
  writeSync(descriptor, input, 0, input.length, 0)
  try {
    return (await target.run(input)) !== REFUSED
  } catch (error) {
    if (error instanceof DiskferryError && target.refusals.includes(error.code)) return false
    throw error
  }
}

const accepted: boolean[] = []
for (const input of corpus) accepted.push(await read(input))
if (!accepted.includes(true)) throw new Error('every input of the corpus is refused')
for (const input of existsSync(found) ? readdirSync(found) : []) await read(readFileSync(join(found, input)))
const began = performance.now()
const end = began + Number(milliseconds)
let early: number | undefined
let beat = 0
let inputs = 0
let taken = 0
for (;;) {
  const now = performance.now()
  // Of some only one in a hundred is taken, and what is refused at once proves little.
  if (now >= end && inputs >= LEAST_INPUTS && (taken > 0 || inputs >= PATIENT_INPUTS)) break
  if (early === undefined && now >= began + (end - began) / 10) early = memoryInUse()
  if (now >= beat) {
    process.send!({ inputs })
    beat = now + BEAT_MS
  }
  if (await read(mutate(corpus, random, words))) taken += 1
  inputs += 1
}
const growth = memoryInUse() - (early ?? 0)
if (early !== undefined && growth > MAX_GROWTH_BYTES) throw new Error(`memory grew by ${growth} bytes`)
process.send!({ inputs, taken, growth: early === undefined ? 0 : growth })
process.disconnect()
