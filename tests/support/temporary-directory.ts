import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onProcessExit } from './exit-cleanup.ts'

export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string
}

/** Where tests put their files: `DISKFERRY_TEST_TMP`, else the system's folder for temporary files. */
export function temporaryRoot(): string {
  const { DISKFERRY_TEST_TMP } = process.env
  return DISKFERRY_TEST_TMP ?? tmpdir()
}

/** A new folder that goes with everything in it when disposed of, and when the process ends. */
export async function temporaryDirectory(label: string): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(temporaryRoot(), `diskferry-${label}-`))
  const forget = onProcessExit(() => rmSync(path, { recursive: true, force: true }))
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true })
      forget()
    },
  }
}
