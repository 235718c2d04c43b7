import { randomInt } from 'node:crypto'

/** For each target, however long they take on a machine that does other work as well. */
export const LEAST_INPUTS = 300

/** `FUZZ_SECONDS` for all targets together, 20 by default. */
export function fuzzMilliseconds(share: number): number {
  const { FUZZ_SECONDS = '20' } = process.env
  const seconds = Number(FUZZ_SECONDS)
  if (!(seconds > 0)) throw new Error(`FUZZ_SECONDS is '${FUZZ_SECONDS}', and must be a number above 0`)
  return Math.ceil(seconds * 1000 * share)
}

/** `FUZZ_SEED`, or another one each time. */
export function fuzzSeed(): number {
  const { FUZZ_SEED } = process.env
  if (FUZZ_SEED === undefined) return randomInt(2 ** 31)
  if (!/^\d{1,10}$/.test(FUZZ_SEED)) throw new Error(`FUZZ_SEED is '${FUZZ_SEED}', and must be a number`)
  return Number(FUZZ_SEED)
}
