import { readdir, readlink } from 'node:fs/promises'
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

/** Waits until this process has a file open so many times: once for each who holds its lock or waits for it. */
export async function openedHere(file: string, times: number): Promise<void> {
  // The kernel announces no opening of a file.
  for (let tries = 0; tries < 500; tries++) {
    const links = (await readdir('/proc/self/fd')).map((fd) =>
      readlink(`/proc/self/fd/${fd}`).catch(() => ''),
    )
    if ((await Promise.all(links)).filter((link) => link === file).length >= times) return
    await delay(10)
  }
  throw new Error(`${file} is not open ${times} times`)
}
