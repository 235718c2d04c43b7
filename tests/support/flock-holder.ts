import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** Another process that holds a lock until it is killed, together with its group: it is the leader of one. */
export async function flockHolder(file: string): Promise<ChildProcess> {
  const child = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo held; exec sleep 600'], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`flock ended with ${code}`)
  })
  ended.catch(() => undefined)
  await Promise.race([once(child.stdout, 'data'), ended])
  return child
}
