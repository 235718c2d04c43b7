import { open } from 'node:fs/promises'
import * as native from 'diskferry/native'

/** Writes out everything of the filesystem that holds the folder: only then btrfs tells how much space is free. */
export async function syncFilesystem(folder: string): Promise<void> {
  await using handle = await open(folder, 'r')
  await native.syncFilesystem(handle, folder)
}
