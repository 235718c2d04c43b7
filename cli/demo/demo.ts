import { DiskferryError } from '../../core/errors.ts'
import { CleanupStack } from './cleanup-stack.ts'
import { DemoClient } from './demo-client.ts'
import { layRepository } from './demo-repository.ts'
import { startDemoServer } from './demo-server.ts'
import { makeStorage } from './demo-storage.ts'
import { printKeepLines } from './keep-lines.ts'
import { runMainJob } from './main-job.ts'
import { Progress } from './progress.ts'
import { printReport } from './report.ts'

export interface DemoOptions {
  /** Leave the server up until Ctrl-C. */
  readonly keep?: boolean
  /** A folder on an existing filesystem with reflink; without it a filesystem is made, which needs root. */
  readonly directory?: string
}

/**
 * Shows the main job on a real filesystem and the real server: full pull, guest writes, incremental pull, comparison.
 * Leaves nothing mounted or running, on Ctrl-C either.
 *
 * @throws USAGE when it can't run here; any error of the job, and one when a byte differs
 */
export async function demo(options: DemoOptions): Promise<void> {
  const interruption = new AbortController()
  const interrupt = (signal: NodeJS.Signals) => interruption.abort(new Error(`stopped by ${signal}`))
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  const cleanup = new CleanupStack()
  let interrupted = false
  try {
    await run(options, cleanup, interruption.signal)
  } catch (error) {
    if (!interruption.signal.aborted) throw error
    interrupted = true
  } finally {
    await cleanup[Symbol.asyncDispose]()
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
  if (interrupted) {
    process.stderr.write('\ninterrupted; everything was cleaned up\n')
    process.exitCode = 130
  }
}

async function run(options: DemoOptions, cleanup: CleanupStack, signal: AbortSignal): Promise<void> {
  const progress = new Progress(process.stdout)
  const storage = await makeStorage(options.directory, cleanup, progress, signal)
  const repository = await progress.step('laying a repository with a two-disk VM on it', () =>
    layRepository(storage, signal),
  )
  const server = await progress.step('starting the server over TLS', () =>
    startDemoServer(storage, repository, cleanup),
  )
  const client = new DemoClient(server)
  cleanup.add('client', () => client.close())
  await progress.step('logging in', () => client.login(signal))
  await refuseUnusable(client, signal)

  const result = await runMainJob({
    client,
    repository,
    storage,
    progress,
    keep: options.keep === true,
    signal,
  })
  printReport(process.stdout, result)
  if (options.keep === true) {
    printKeepLines(process.stdout, server, repository)
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    process.stdout.write('\nstopping\n')
  }
}

/** Better now, with the backend's reasons, than as a refused snapshot. */
async function refuseUnusable(client: DemoClient, signal: AbortSignal): Promise<void> {
  for (const { mount_point, compatible, reasons } of await client.repositories(signal)) {
    if (!compatible) {
      throw new DiskferryError('USAGE', `the demo can't use ${mount_point}: ${reasons.join('; ')}`)
    }
  }
}
