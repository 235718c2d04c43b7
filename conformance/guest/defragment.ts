import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { DiskferryError, describeError } from 'diskferry/core'
import { FeatureRefused } from '../features.ts'
import type { Suite } from '../suite.ts'

interface Program {
  readonly command: string
  readonly options: readonly string[]
  /** The Debian package that has it. */
  readonly debianPackage: string
}

/** By the filesystem's name in mountinfo. Each takes the file as its last argument. */
const PROGRAMS: Readonly<Record<string, Program>> = {
  btrfs: { command: 'btrfs', options: ['filesystem', 'defragment', '-f'], debianPackage: 'btrfs-progs' },
  ocfs2: { command: 'defragfs.ocfs2', options: [], debianPackage: 'ocfs2-tools' },
  xfs: { command: 'xfs_fsr', options: [], debianPackage: 'xfsprogs' },
}

/**
 * Lets the filesystem's own program move the blocks of a file.
 * @throws FeatureRefused where none is known; USAGE where it is not installed; what the program says
 */
export async function defragment({ mount, settings }: Suite, file: string): Promise<void> {
  if (settings.defragment !== undefined) return settings.defragment(file)
  const program = PROGRAMS[mount.filesystem]
  if (program === undefined) {
    throw new FeatureRefused(
      'defragment',
      new Error(`the suite knows no program that defragments ${mount.filesystem}, and was given none`),
    )
  }
  const { command, options, debianPackage } = program
  // The programs of root are not on everybody's PATH.
  const { PATH = '' } = process.env
  const env = { ...process.env, PATH: `${PATH}:/usr/sbin:/sbin`, LC_ALL: 'C' }
  try {
    await promisify(execFile)(command, [...options, file], { env })
  } catch (cause) {
    const missing = (cause as { readonly code?: unknown }).code === 'ENOENT'
    throw missing
      ? new DiskferryError('USAGE', `${command} is not installed (Debian: ${debianPackage})`, { cause })
      : new Error(`${command}: ${describeError(cause)}`, { cause })
  }
}
