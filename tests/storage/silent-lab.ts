import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import { Disk } from '../../conformance/guest/disk.ts'
import { type AgentVm, layAgentDatabase, layRepository } from '../support/agent-repository.ts'
import { ApiClient } from '../support/api-client.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { snapshotFolders } from '../support/snapshot-folders.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const RETRY_MS = 200
/** How long a server of these tests waits for a repository. */
const PATIENCE = '3s'
/** From request to answer, on the test machine beside other tests: ten times the patience. */
export const BOUND_S = 30
/** A server that comes back lets nobody open a file for ten seconds, and its clients try again now and then. */
export const RECOVERY_MS = 90_000
/** The code of an answer for a repository that does not answer. */
export const REFUSED = 'REPOSITORY_NOT_RESPONDING'

export interface SilentLab extends AsyncDisposable {
  readonly server: TestServer
  readonly client: ApiClient
  /** Stops the server and starts another one in its place. */
  restart(): Promise<{
    readonly exitCode: number | null
    readonly server: TestServer
    readonly client: ApiClient
  }>
}

export interface Machine {
  readonly vm: AgentVm
  readonly disk: Disk
}

/** A VM with one full disk in a repository. */
export async function layMachine(mount: string, digit: string, size: number): Promise<Machine> {
  const name = `disk-${digit}.img`
  const vm: AgentVm = {
    id: `0004fb000006000037b8d41d0e2a59c${digit}`,
    friendlyName: `machine ${digit}`,
    disks: [{ name, deviceName: 'xvda', size }],
  }
  await layRepository(mount, [vm])
  const disk = new Disk(join(mount, 'VirtualDisks', name))
  await disk.fill(0, size, 1)
  await disk.sync()
  return { vm, disk }
}

/** The real server over TLS with a repository on each mount. */
export async function silentLab(mounts: readonly string[]): Promise<SilentLab> {
  const directory = await temporaryDirectory('silent-lab')
  const agentDbDir = join(directory.path, 'agent-db')
  await layAgentDatabase(
    agentDbDir,
    mounts.map((mountPoint, index) => ({ id: `repository-${index}`, alias: `${index}`, mountPoint })),
  )
  const start = async () => {
    const server = await startServer({
      directory: join(directory.path, 'server'),
      agentDbDir,
      answerWithin: PATIENCE,
      // As it is installed: a call that does not return keeps its thread.
      env: { UV_THREADPOOL_SIZE: '512' },
    })
    const client = new ApiClient(server)
    await client.login()
    return { server, client }
  }
  const stop = async ({ server, client }: { readonly server: TestServer; readonly client: ApiClient }) => {
    await client[Symbol.asyncDispose]()
    return server.stop()
  }
  let now = await start()
  return {
    ...now,
    async restart() {
      const exitCode = await stop(now)
      now = await start()
      return { exitCode, ...now }
    },
    [Symbol.asyncDispose]: () => end(now, directory),
  }
}

async function end(
  { server, client }: { readonly server: TestServer; readonly client: ApiClient },
  directory: TemporaryDirectory,
): Promise<void> {
  await client[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  await directory[Symbol.asyncDispose]()
}

export interface Answer {
  readonly status: number
  /** Of an error; the answer to HEAD has none. */
  readonly code: string | undefined
  readonly text: string
  readonly seconds: number
}

/** Any answer, and how long it took. */
export async function ask(
  client: ApiClient,
  method: Dispatcher.HttpMethod,
  path: string,
  content?: object,
): Promise<Answer> {
  const began = performance.now()
  const { statusCode, body } = await client.call(method, path, content && { body: JSON.stringify(content) })
  const text = await textOf(body)
  const { code } = (statusCode < 400 || text === '' ? {} : JSON.parse(text)) as { readonly code?: string }
  return { status: statusCode, code, text, seconds: (performance.now() - began) / 1000 }
}

/** Tries again until it succeeds: a server that comes back tells nobody. @throws what it last threw */
export async function eventually<Result>(work: () => Promise<Result>, withinMs: number): Promise<Result> {
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    await delay(RETRY_MS)
  }
}

/** Nothing but these snapshots is in a folder of snapshots, and nothing unfinished in them. */
export async function assertOnly(folder: string, ids: readonly string[]): Promise<void> {
  assert.deepEqual(await snapshotFolders(dirname(folder)), [...ids].sort())
  for (const id of ids) {
    const names = (await readdir(join(folder, id))).filter((name) => name.startsWith('.'))
    assert.deepEqual(names, [])
  }
}
