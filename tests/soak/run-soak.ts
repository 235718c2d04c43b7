import { storageKind } from '../storage/matrix.ts'
import { mountFilesystem } from '../support/loop-filesystem.ts'
import { Random } from '../support/random.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Soak, type SoakReport } from './soak.ts'

const MIB = 1024 * 1024
const IMAGE_BYTES = 8 * 1024 * MIB

export interface SoakRun {
  /** A name of tests/storage/matrix.ts. */
  readonly storage: string
  readonly seconds: number
  readonly seed: number
  readonly signal: AbortSignal
  /** Of each cycle, 0 to 1. */
  readonly killChance?: number
  readonly mostBeforeKillMs?: number
  /** For the server: whole tables. */
  readonly extraConfig?: string
  /** Told after each cycle. */
  readonly onCycle?: (report: SoakReport, secondsLeft: number) => void
}

/** Soaks until the time is over; at least one cycle. @throws at the first thing that is wrong, with the report until then */
export async function runSoak(run: SoakRun): Promise<SoakReport> {
  await using filesystem = await mountFilesystem(storageKind(run.storage), { sizeBytes: IMAGE_BYTES })
  await using directory = await temporaryDirectory('soak')
  await using soak = await Soak.begin({
    mountPoint: filesystem.mountPoint,
    filesystem: filesystem.kind.filesystem,
    directory: directory.path,
    random: new Random(run.seed),
    signal: run.signal,
    ...(run.killChance !== undefined && { killChance: run.killChance }),
    ...(run.mostBeforeKillMs !== undefined && { mostBeforeKillMs: run.mostBeforeKillMs }),
    ...(run.extraConfig !== undefined && { extraConfig: run.extraConfig }),
  })
  const end = performance.now() + run.seconds * 1000
  try {
    do {
      await soak.cycle()
      run.onCycle?.(soak.report, Math.max(0, (end - performance.now()) / 1000))
    } while (performance.now() < end)
    await soak.end()
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error)
    throw new Error(`${what}\nuntil then: ${describeSoak(soak.report)}`, { cause: error })
  }
  return soak.report
}

/** One line for a person. */
export function describeSoak(report: SoakReport): string {
  const { cycles, snapshots, restores, comparedBytes, fetchedBytes, kills, wrongBytes, peakMemoryBytes } =
    report
  return (
    `${cycles} cycles, ${snapshots} snapshots, ${restores} restores, ${mib(fetchedBytes)} fetched, ` +
    `${mib(comparedBytes)} compared, ${wrongBytes} wrong bytes, ${kills} kills survived, ` +
    `${mib(peakMemoryBytes)} of memory at most`
  )
}

function mib(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`
}
