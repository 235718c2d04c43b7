/**
 * Runs lanes of tests side by side, each on a processor of its own: what a process does wakes no other one, which takes
 * emulated processors long. Lanes beyond the number of processors get what the first ones leave of theirs while they wait.
 * `run-lanes.mjs REPORTER PATTERN PROGRAM...`, a program for each lane; the pattern may be empty. Each line of a lane's
 * reporter comes out with the number of the lane and a space before it.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'

/**
 * setpriority(2): a quarter of what the others have, where they need all of it. Not less: a test that hardly moves runs out
 * of time on a slower machine.
 */
const LEAVES_TO_OTHERS = 5

const [reporter, pattern, ...programs] = process.argv.slice(2)

async function runLane(lane: number, program: string): Promise<number> {
  const options = [`--test-reporter=${reporter}`, '--test-reporter-destination=stdout']
  if (pattern !== '') options.push(`--test-name-pattern=${pattern}`)
  const processors = availableParallelism()
  const place = ['--cpu-list', String(lane % processors)]
  const niceness = String(lane < processors ? 0 : LEAVES_TO_OTHERS)
  const runner = spawn('taskset', [...place, 'nice', '-n', niceness, process.execPath, ...options, program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(runner, 'close') as Promise<[number | null]>
  for await (const line of createInterface({ input: runner.stdout })) console.log(`${lane} ${line}`)
  return (await ended)[0] ?? 1
}

const exitCodes = await Promise.all(programs.map((program, lane) => runLane(lane, program)))
process.exitCode = exitCodes.find((code) => code !== 0) ?? 0
