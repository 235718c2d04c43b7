import { command } from '../../support/command.ts'
import { claimDisk } from './claim-disk.ts'

const SECTOR = 512

/** A disk of the machine whose reads and writes can be made to fail. */
export interface FailingDisk extends AsyncDisposable {
  readonly device: string
  /** From now on everything fails with EIO, what is under way included. */
  fail(): Promise<void>
  heal(): Promise<void>
}

/** Through the device mapper: dmsetup(8), with its targets `linear` and `error`. */
export async function failingDisk(): Promise<FailingDisk> {
  const disk = await claimDisk()
  const name = `failing-${disk.name}`
  const sectors = Number(await command('blockdev', ['--getsize64', disk.device])) / SECTOR
  const tables = { linear: `0 ${sectors} linear ${disk.device} 0`, error: `0 ${sectors} error` }
  const become = async (table: string) => {
    // Neither flush nor freeze the filesystem above: a disk that breaks asks nobody.
    await command('dmsetup', ['suspend', '--nolockfs', '--noflush', name])
    await command('dmsetup', ['load', name, '--table', table])
    await command('dmsetup', ['resume', name])
  }
  await command('modprobe', ['dm_mod'])
  await command('dmsetup', ['create', name, '--noudevsync', '--table', tables.linear])
  await command('dmsetup', ['mknodes', name])
  return {
    device: `/dev/mapper/${name}`,
    fail: () => become(tables.error),
    heal: () => become(tables.linear),
    async [Symbol.asyncDispose]() {
      await command('dmsetup', ['remove', '--noudevsync', name])
      await disk[Symbol.asyncDispose]()
    },
  }
}
