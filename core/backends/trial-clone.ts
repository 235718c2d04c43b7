import { randomBytes } from 'node:crypto'
import { open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { DiskferryError, describe, systemCode } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import { shownPath } from '../held-path.ts'
import type { CompatibilityReport, StorageBackend } from '../storage-backend.ts'
import { describeWithAdvice, repositoryStateError } from './backend-failure.ts'

/** Longer than any filesystem keeps inside the inode, and not a multiple of a block. */
const TRIAL_BYTES = 256 * 1024 + 1

/**
 * Clones a small file in `directory` and reads the clone back: what the filesystem really does, rather than what
 * its name promises. Removes what it made.
 *
 * @param explain turns the clone's error into sentences that a person can act on; by default its message
 * @throws REPOSITORY_FULL, REPOSITORY_READ_ONLY, which say nothing about clones; an abort
 */
export async function trialClone(
  clone: StorageBackend['clone'],
  directory: string,
  explain: (error: unknown) => readonly string[] = (error) => [describe(error)],
  signal?: AbortSignal,
): Promise<CompatibilityReport> {
  const name = `.trial-${randomBytes(6).toString('hex')}`
  const source = join(directory, name)
  const target = join(directory, `${name}.clone`)
  const content = randomBytes(TRIAL_BYTES)
  const refused = (error: unknown): CompatibilityReport | DiskferryError =>
    repositoryStateError(error, `no trial clone can be made in '${shownPath(directory)}'`) ?? {
      compatible: false,
      reasons: reasonsFor(error, explain, directory),
    }
  let report: CompatibilityReport | DiskferryError
  try {
    await writeNew(source, content)
    faultPoint('trial.written')
    await clone(source, target, signal)
    faultPoint('trial.cloned')
    await overwriteFirstByte(source, content)
    report = (await holds(target, content))
      ? { compatible: true, reasons: [] }
      : { compatible: false, reasons: ['a trial clone did not keep the bytes of its source'] }
  } catch (error) {
    report = refused(error)
  }
  try {
    for (const path of [source, target]) await removeFile(path)
  } catch (error) {
    // Where the trial itself failed, its reason tells more than why its files can't be removed.
    if (!(report instanceof DiskferryError) && report.compatible) report = refused(error)
  }
  signal?.throwIfAborted()
  if (report instanceof DiskferryError) throw report
  return report
}

function reasonsFor(
  error: unknown,
  explain: (error: unknown) => readonly string[],
  directory: string,
): readonly string[] {
  const code = systemCode(error)
  if (code === 'EACCES' || code === 'EPERM')
    return [`this program may not write in '${shownPath(directory)}': ${describe(error)}`]
  return explain(error).map((reason) => (reason === describe(error) ? describeWithAdvice(error) : reason))
}

/** Node's rm() gives ENOTDIR where a file may not be removed. */
async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}

async function writeNew(path: string, content: Buffer): Promise<void> {
  await using handle = await open(path, 'wx', 0o600)
  await handle.writeFile(content)
}

async function overwriteFirstByte(path: string, content: Buffer): Promise<void> {
  await using handle = await open(path, 'r+')
  await handle.write(Buffer.of(content[0]! ^ 0xff), 0, 1, 0)
}

async function holds(path: string, content: Buffer): Promise<boolean> {
  await using handle = await open(path, 'r')
  return (await handle.readFile()).equals(content)
}
