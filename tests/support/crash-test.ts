import { CrashBench } from './crash-bench.ts'
import { mountFilesystem } from './loop-filesystem.ts'
import { type StorageTestContext, storageTest } from './storage-test.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const TIMEOUT_MS = 900_000

/** A test with two repositories of its own on XFS, and servers over them that are killed. */
export function crashTest(
  sentence: string,
  body: (bench: CrashBench, context: StorageTestContext) => Promise<void>,
): void {
  storageTest(
    'xfs',
    sentence,
    async (context) => {
      await using second = await mountFilesystem(context.kind)
      await using directory = await temporaryDirectory('crash')
      await body(await CrashBench.open(directory.path, [context.mount, second.mountPoint]), context)
    },
    { timeoutMs: TIMEOUT_MS },
  )
}
