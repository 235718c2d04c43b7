import { setTimeout as delay } from 'node:timers/promises'
import { whoUses } from './mounts.ts'

/** Waits until so many processes have a lock's file open: they hold the lock, or wait for it. */
export async function lockUsers(file: string, processes: number): Promise<void> {
  let users: readonly string[] = []
  // The kernel announces no opening of a file in another process.
  for (let tries = 0; tries < 1000; tries++) {
    users = whoUses(file)
    if (new Set(users).size >= processes) return
    await delay(20)
  }
  throw new Error(`not ${processes} processes have ${file} open: ${users.join('; ')}`)
}
