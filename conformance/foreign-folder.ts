import { constants } from 'node:fs'
import { copyFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DiskferryError } from 'diskferry/core'
import type { Suite } from './suite.ts'

const USUAL_PLACES = ['/dev/shm', '/run', tmpdir(), '/var/tmp']

export interface ForeignFolder extends AsyncDisposable {
  readonly path: string
}

/**
 * A new folder on another filesystem than the one under test, one that makes no reflinks.
 * @throws USAGE when there is none
 */
export async function foreignFolder({ directory, settings }: Suite): Promise<ForeignFolder> {
  const { dev } = await stat(directory)
  const places = settings.elsewhere === undefined ? USUAL_PLACES : [settings.elsewhere]
  for (const place of places) {
    const path = await newFolder(place, dev)
    if (path === undefined) continue
    if (!(await makesReflinks(path))) {
      return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
    }
    await rm(path, { recursive: true, force: true })
  }
  throw new DiskferryError(
    'USAGE',
    `none of ${places.join(', ')} is a writable folder on another filesystem without reflinks: name one (a tmpfs will do) as "elsewhere"`,
  )
}

/** Undefined where none can be made, or where it would be on the filesystem under test. */
async function newFolder(place: string, testedDevice: number): Promise<string | undefined> {
  try {
    if ((await stat(place)).dev === testedDevice) return undefined
    return await mkdtemp(join(place, 'diskferry-conformance-'))
  } catch {
    return undefined
  }
}

async function makesReflinks(folder: string): Promise<boolean> {
  const source = join(folder, 'source')
  await writeFile(source, Buffer.alloc(64 * 1024, 1))
  try {
    await copyFile(source, join(folder, 'target'), constants.COPYFILE_FICLONE_FORCE)
    return true
  } catch {
    return false
  }
}
