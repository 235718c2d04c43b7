import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from '../../support/command.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

/**
 * System calls that block in the kernel, each with a thread of the pool, until they are let go: what a mount does whose
 * server is gone. A named pipe that nobody writes to does the same to whoever opens it.
 */
export interface SilentServer extends AsyncDisposable {
  /** The named pipe. */
  readonly pipe: string
  /** How many calls were made. */
  readonly calls: number
  /** Returns at once while the server answers, else when it does so again. */
  call(): Promise<void>
  pause(): Promise<void>
  resume(): Promise<void>
}

export async function silentServer(): Promise<SilentServer> {
  const directory = await temporaryDirectory('silent-server')
  const pipe = join(directory.path, 'pipe')
  await command('mkfifo', [pipe])
  // Open for reading and writing, which does not block: fifo(7).
  let writer: FileHandle | undefined = await open(pipe, 'r+')
  let calls = 0
  const server = {
    pipe,
    get calls() {
      return calls
    },
    async call() {
      calls += 1
      await using _opened = await open(pipe, 'r')
    },
    async pause() {
      await writer?.close()
      writer = undefined
    },
    async resume() {
      writer ??= await open(pipe, 'r+')
    },
    async [Symbol.asyncDispose]() {
      await server.resume()
      await server.call()
      await server.pause()
      await directory[Symbol.asyncDispose]()
    },
  }
  return server
}
