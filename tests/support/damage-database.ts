import { open, readFile } from 'node:fs/promises'

/** Puts garbage over bytes of a file. */
export async function overwrite(file: string, start: number, length: number): Promise<void> {
  await using handle = await open(file, 'r+')
  await handle.write(Buffer.alloc(length, 0xee), 0, length, start)
}

/** Damages a record in a database, where SQLite's own check does not look. */
export async function scribble(file: string): Promise<void> {
  const place = (await readFile(file)).lastIndexOf('"createdAt"')
  await overwrite(file, place, 20)
}
