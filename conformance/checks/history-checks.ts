import { describeError } from 'diskferry/core'
import type { Check } from '../check.ts'
import type { CheckContext } from '../check-context.ts'
import { FeatureRefused, FILESYSTEM_FEATURES } from '../features.ts'
import { generateHistory } from '../history/generate-history.ts'
import { playHistory } from '../history/play-history.ts'
import { shrinkHistory } from '../history/shrink-history.ts'
import { formatSteps, type Step } from '../history/steps.ts'

/** A failing history is made shorter for so long, and no longer than half of what the check may take. */
const SHRINK_MS = 60_000

export const historyChecks: readonly Check[] = [
  {
    name: 'over random histories of a disk, its snapshots and their blocks, every difference is right',
    needs: FILESYSTEM_FEATURES,
    async run(context) {
      const { seeds, replay } = context.settings
      if (replay !== undefined) return playAndShrink(context, 'the given history', replay)
      for (const seed of seeds) await playAndShrink(context, `seed ${seed}`, generateHistory(seed))
      context.note(`${seeds.length} histories were played`)
    },
  },
]

async function playAndShrink(context: CheckContext, name: string, steps: readonly Step[]): Promise<void> {
  try {
    await playHistory(context, steps)
  } catch (error) {
    context.signal.throwIfAborted()
    if (error instanceof FeatureRefused) throw error
    const budget = Math.min(SHRINK_MS, context.settings.timeLimitMs / 2)
    const shortest = await shrinkHistory(steps, (shorter) => fails(context, shorter), budget)
    const reason = await reasonOf(context, shortest)
    throw new Error(
      `${name}: ${reason ?? `${describeError(error)} (it does not fail each time)`}\n` +
        `${steps.length} steps were made ${shortest.length}; play them again with --replay FILE, or the option replay:\n${formatSteps(shortest)}`,
      { cause: error },
    )
  }
}

async function fails(context: CheckContext, steps: readonly Step[]): Promise<boolean> {
  return (await reasonOf(context, steps)) !== undefined
}

async function reasonOf(context: CheckContext, steps: readonly Step[]): Promise<string | undefined> {
  try {
    await playHistory(context, steps)
    return undefined
  } catch (error) {
    context.signal.throwIfAborted()
    return describeError(error)
  }
}
