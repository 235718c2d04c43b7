import { readdir, readlink } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

/** What a process has open, sorted; proc_pid_fd(5). Sockets and pipes without their numbers. */
export async function openFiles(pid: number): Promise<readonly string[]> {
  const folder = `/proc/${pid}/fd`
  const targets = (await readdir(folder)).map((fd) => readlink(`${folder}/${fd}`).catch(() => ''))
  return (await Promise.all(targets))
    .filter((target) => target !== '')
    .map((target) => target.replace(/:\[\d+\]$/, ''))
    .sort()
}

/** The same once it is as it was, or, when that does not come about, what it is then. */
export async function openFilesAgain(pid: number, before: readonly string[]): Promise<readonly string[]> {
  const wanted = before.join('\n')
  let now = await openFiles(pid)
  // A connection is closed some time after its client has gone, and the kernel announces nothing.
  for (let tries = 0; tries < 600 && now.join('\n') !== wanted; tries++) {
    await delay(50)
    now = await openFiles(pid)
  }
  return now
}
