import { mkdir, readdir, readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'

export interface ClaimedDisk extends AsyncDisposable {
  /** 0 for the machine's first. */
  readonly index: number
  /** `ubda` */
  readonly name: string
  /** `/dev/ubda` */
  readonly device: string
}

const CLAIMS = '/run/machine/disks'

/**
 * A disk of the machine that nobody else uses, in this process or another, until it is disposed of. What an
 * earlier user wrote is still on it.
 * @throws when this is not the test machine, or all of its disks are in use
 */
export async function claimDisk(): Promise<ClaimedDisk> {
  const { DISKFERRY_VM } = process.env
  if (DISKFERRY_VM === undefined) throw new Error('This only works in the test machine: npm run vm -- ...')
  await mkdir(CLAIMS, { recursive: true })
  const mounts = await readFile('/proc/self/mounts', 'utf8')
  const disks = (await readdir('/sys/block')).filter((name) => /^ubd[a-p]$/.test(name)).sort()
  for (const [index, name] of disks.entries()) {
    const device = `/dev/${name}`
    const claim = join(CLAIMS, name)
    if (mounts.includes(`${device} `) || !(await made(claim))) continue
    return { index, name, device, [Symbol.asyncDispose]: () => rmdir(claim) }
  }
  throw new Error(
    `All ${disks.length} disks of the test machine are in use: boot it with one more --disk, or dispose of a filesystem before the next is mounted.`,
  )
}

/** Only one of many makes a folder. */
async function made(path: string): Promise<boolean> {
  try {
    await mkdir(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}
