import { rmdir } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { command } from '../../support/command.ts'
import { whoUses } from '../../support/mounts.ts'

/** A minute: the NFS server keeps what a client left open until the client's lease is over. */
const RETRIES = 600
const PAUSE_MS = 100
const NUDGE_EVERY = 20

/**
 * Unmounts, and removes the mount point. A descriptor may be closing in another thread, and the NFS server keeps
 * files open for a while, without a word when it stops: so this asks again for a minute.
 *
 * @param nudge done between two tries, every other second, to make the holder let go
 */
export async function unmount(mountPoint: string, nudge?: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await command('umount', [mountPoint])
      break
    } catch (error) {
      if (!String(error).includes('busy')) throw error
      if (attempt >= RETRIES) throw new Error(`${error}\n${whoUses(mountPoint).join('\n')}`, { cause: error })
    }
    if (attempt % NUDGE_EVERY === NUDGE_EVERY - 1) await nudge?.()
    await delay(PAUSE_MS)
  }
  await rmdir(mountPoint)
}
