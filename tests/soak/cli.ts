/** `npm run soak -- --minutes N` */

import { Command, InvalidArgumentError } from 'commander'
import { STORAGE, storageKind } from '../storage/matrix.ts'
import { ensureDebianPackages, TEST_PACKAGES } from '../support/debian-packages.ts'
import { describeSoak, runSoak } from './run-soak.ts'

interface SoakArguments {
  readonly minutes: number
  readonly storage: string
  readonly seed: number
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= 100_000)) throw new InvalidArgumentError('It is a number above 0.')
  return value
}

const program = new Command('soak')
  .description(
    'Keeps the disks of a VM busy, exports them over and over into a chain of incrementals, kills the server now and then, and compares every restore.',
  )
  .option('--minutes <number>', 'how long', positive, 10)
  .option(
    '--storage <name>',
    `one of ${STORAGE.filter(({ reflink }) => reflink)
      .map(({ name }) => name)
      .join(', ')}`,
    'xfs',
  )
  .option('--seed <number>', 'of what is drawn at random', positive, 1)
  .showHelpAfterError()

const interrupt = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => interrupt.abort(new Error(`interrupted by ${name}`)))
}

try {
  const { minutes, storage, seed } = program.parse().opts<SoakArguments>()
  ensureDebianPackages([...TEST_PACKAGES, ...storageKind(storage).packages])
  const report = await runSoak({
    storage,
    seconds: minutes * 60,
    seed,
    signal: interrupt.signal,
    onCycle(so, secondsLeft) {
      if (process.stderr.isTTY)
        process.stderr.write(`\r\x1b[K${Math.ceil(secondsLeft)} s left: ${describeSoak(so)}`)
    },
  })
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  console.log(describeSoak(report))
  if (report.wrongBytes > 0) process.exitCode = 1
} catch (error) {
  if (process.stderr.isTTY) process.stderr.write('\n')
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
