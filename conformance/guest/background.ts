import { on, once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** A thread that tells what it sees until it is disposed of. */
export interface Background<Message> extends AsyncDisposable {
  /** The next message, in the order of sending. @throws what the thread threw */
  next(): Promise<Message>
}

/**
 * Runs plain JavaScript in a thread of its own, so that it goes on while this thread's event loop is held. It is text
 * and not a function, because a compiler may have made a function depend on what stands around it.
 *
 * @param code sees `require`, `data`, `send(message)` and `ended()`, which says whether to stop
 */
export function inBackground<Message>(
  code: string,
  data: Readonly<Record<string, unknown>>,
): Background<Message> {
  const control = new Int32Array(new SharedArrayBuffer(4))
  const prelude = `'use strict'
    const { parentPort, workerData } = require('node:worker_threads')
    const { data } = workerData
    const send = (message) => parentPort.postMessage(message)
    const ended = () => Atomics.load(workerData.control, 0) === 1
  `
  // Without the loaders that this process was started with: plain JavaScript needs none.
  const worker = new Worker(prelude + code, { eval: true, execArgv: [], workerData: { control, data } })
  const messages = on(worker, 'message')
  const exited = once(worker, 'exit')
  // An error of the thread is thrown by next(); at the end nobody asks for it any more.
  exited.catch(() => undefined)
  return {
    async next() {
      const { value } = await messages.next()
      return value[0] as Message
    },
    async [Symbol.asyncDispose]() {
      Atomics.store(control, 0, 1)
      await exited.catch(() => undefined)
      await messages.return?.()
    },
  }
}
