import { readdirSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** What each open descriptor of this process leads to; proc_pid_fd(5). */
export function openDescriptors(): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const number of readdirSync('/proc/self/fd')) {
    try {
      found.set(number, readlinkSync(`/proc/self/fd/${number}`))
    } catch {
      // The descriptor through which the folder itself was being read.
    }
  }
  return found
}

const ATTEMPTS = 10
const PAUSE_MS = 50

/**
 * What is open now and was not before. Node's own threads and pipes close a moment after their end, which nothing
 * announces: so this looks again for half a second. What is open after that was forgotten.
 */
export async function forgottenDescriptors(before: ReadonlyMap<string, string>): Promise<readonly string[]> {
  for (let attempt = 1; ; attempt++) {
    const forgotten: string[] = []
    for (const [number, target] of openDescriptors()) {
      if (before.get(number) !== target) forgotten.push(target)
    }
    if (forgotten.length === 0 || attempt === ATTEMPTS) return forgotten
    await delay(PAUSE_MS)
  }
}
