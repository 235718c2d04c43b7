import { fileURLToPath } from 'node:url'
import { BUNDLE_VARIABLE } from '../support/program.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { bundle } from './bundle.ts'
import { Cable } from './cable.ts'
import { diskImages } from './disk-images.ts'
import { CLUSTER_HOSTS, HOST_VARIABLE } from './inside/cluster-hosts.ts'
import type { Operations } from './inside/serve-calls.ts'
import { type MachineOptions, runInMachine } from './machine.ts'
import { RemoteCalls } from './remote-calls.ts'

const SERVER = fileURLToPath(new URL('../../main.ts', import.meta.url))
const GIB = 1024 ** 3

export interface ClusterOptions {
  /** A program for each machine: it mounts the volume (`inside/cluster-volume.ts`), and answers by `serveCalls`. */
  readonly program: string
  /** Bytes of the disk that the machines share, /dev/ubda. */
  readonly diskBytes: number
  /** From the start of the boot. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** One machine of a cluster, as long as it is held. */
export class ClusterHost<All extends Operations> implements AsyncDisposable {
  readonly #calls = new RemoteCalls<All>()
  readonly #power = new AbortController()
  readonly #end: Promise<void>

  constructor({ signal, ...machine }: Omit<MachineOptions, 'stdin' | 'stdout'> & { signal: AbortSignal }) {
    const { stdin, stdout } = this.#calls
    const run = runInMachine({
      ...machine,
      signal: AbortSignal.any([signal, this.#power.signal]),
      stdin,
      stdout,
    })
    this.#end = run.then(
      ({ exitCode }) => this.#calls.end(new Error(`its program ended with ${exitCode}`)),
      (reason) => this.#calls.end(reason),
    )
  }

  /** Has the machine's program do something. @throws with what went wrong there, or why the machine ended */
  get call(): RemoteCalls<All>['call'] {
    return this.#calls.call.bind(this.#calls) as RemoteCalls<All>['call']
  }

  /** As when its power fails: no program and nothing of its kernel has a say in it. */
  async kill(): Promise<void> {
    this.#power.abort(new Error('it was killed'))
    await this.#end
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill()
  }
}

/** Runs `body` with two machines that share a disk and have a network between them. Both end with it. */
export async function withCluster<All extends Operations>(
  { program, diskBytes, ...options }: ClusterOptions,
  body: (...hosts: readonly [ClusterHost<All>, ClusterHost<All>]) => Promise<void>,
): Promise<void> {
  await using bundles = await temporaryDirectory('cluster')
  const [packed, server] = await bundle([program, SERVER], bundles.path)
  await using images = await diskImages([diskBytes])
  using cable = new Cable()
  const start = (number: 0 | 1) => {
    const { hostname, address } = CLUSTER_HOSTS[number]
    return new ClusterHost<All>({
      ...options,
      command: [process.execPath, packed!],
      number,
      env: { [BUNDLE_VARIABLE]: server!, [HOST_VARIABLE]: String(number) },
      modules: ['ocfs2', 'ocfs2_stack_o2cb'],
      sharedDisks: images.descriptors,
      peer: { hostname, address: `${address}/24`, cable: cable.ends[number] },
      memoryBytes: GIB,
      stderr: process.stderr,
    })
  }
  await using first = start(0)
  await using second = start(1)
  await body(first, second)
}
