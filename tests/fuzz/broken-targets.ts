import type { FuzzTarget } from './target.ts'

const kept: Buffer[] = []

function target(run: (input: Buffer) => unknown): FuzzTarget {
  let corpusRead = false
  return {
    corpus: async () => [Buffer.from('0123456789')],
    refusals: ['PICKLE_INVALID'],
    run(input) {
      if (corpusRead) return run(input)
      corpusRead = true
      return undefined
    },
  }
}

/** What fuzzing is there to find. */
export const TARGETS: Readonly<Record<string, FuzzTarget>> = {
  throws: target((input) => {
    if (input.length > 10) throw new TypeError('too long for me')
  }),
  hangs: target(() => {
    for (;;);
  }),
  leaks: target((input) => {
    kept.push(Buffer.alloc(64 * 1024, input.length + 1))
  }),
  'throws at what was found once': target((input) => {
    if (input.equals(Buffer.from('found once'))) throw new TypeError(String(input))
  }),
  ends: target(() => process.exit(0)),
  'runs out of memory': target(() => {
    const lists: unknown[] = []
    for (;;) lists.push(Array(1000).fill(0))
  }),
}
