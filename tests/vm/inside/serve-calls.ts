import { createInterface } from 'node:readline'

/** What a program in a machine can be asked for, by name. Arguments and results travel as JSON. */
export type Operations = Readonly<Record<string, (...args: never[]) => unknown>>

/** A line for the program. */
export interface Call {
  readonly id: number
  readonly name: string
  readonly args: readonly unknown[]
}

/** A line for whoever called; the order is that in which they end. */
export interface Answer {
  readonly id: number
  readonly value?: unknown
  /** With its stack. */
  readonly error?: string
}

/** Answers the calls that come by standard input, each as soon as it can. Standard output is for the answers alone. */
export async function serveCalls(operations: Operations): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, name, args } = JSON.parse(line) as Call
    void answer(id, () => operations[name]!(...(args as never[])))
  }
}

async function answer(id: number, operation: () => unknown): Promise<void> {
  let answer: Answer
  try {
    answer = { id, value: await operation() }
  } catch (error) {
    answer = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
