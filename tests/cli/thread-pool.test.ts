import assert from 'node:assert/strict'
import { test } from 'node:test'
import { command } from '../support/command.ts'

const SCRIPT = `import('./cli/thread-pool.ts').then((m) => m.threadPoolProblem()).then((said) => console.log(said ?? 'enough'))`

async function problemWith(threads: string): Promise<string> {
  const env = { UV_THREADPOOL_SIZE: threads }
  return (await command(process.execPath, ['--import', 'tsx', '--eval', SCRIPT], { env })).trim()
}

test('a process with too few threads is told so, with what to set', async () => {
  assert.match(
    await problemWith('4'),
    /^the process has \d+ threads, fewer than 512: .* UV_THREADPOOL_SIZE=512/,
  )
})

test('a process with enough threads is not', async () => {
  assert.equal(await problemWith('512'), 'enough')
})
