import { createInterface } from 'node:readline'
import { PassThrough } from 'node:stream'
import { deferred } from '../support/deferred.ts'
import type { Answer, Call, Operations } from './inside/serve-calls.ts'

type Result<Operation> = Operation extends (...args: never[]) => infer Value ? Awaited<Value> : never

/** Calls operations of a program that answers by `serveCalls`. */
export class RemoteCalls<All extends Operations> {
  /** Of the program. */
  readonly stdin = new PassThrough()
  readonly stdout = new PassThrough()
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  readonly #ended = deferred<Error>()
  #calls = 0

  constructor() {
    createInterface({ input: this.stdout }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer
      this.#waiting.get(answer.id)!(answer)
    })
  }

  /** @throws with the error of the operation; with the reason of `end` when the program ends before it answered */
  async call<Name extends keyof All & string>(
    name: Name,
    ...args: Parameters<All[Name]>
  ): Promise<Result<All[Name]>> {
    this.#calls += 1
    const id = this.#calls
    const { promise: answered, resolve } = deferred<Answer>()
    this.#waiting.set(id, resolve)
    this.stdin.write(`${JSON.stringify({ id, name, args } satisfies Call)}\n`)
    const end = this.#ended.promise.then((reason) => {
      throw new Error(`${name}() was not answered: ${reason.message}`, { cause: reason })
    })
    const { value, error } = await Promise.race([answered, end]).finally(() => this.#waiting.delete(id))
    if (error !== undefined) throw new Error(`${name}() failed in the machine: ${error}`)
    return value as Result<All[Name]>
  }

  /** Nobody answers any more. */
  end(reason: Error): void {
    this.#ended.resolve(reason)
  }
}
