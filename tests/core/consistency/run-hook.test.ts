import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { hookArguments } from '../../../core/consistency/hook-arguments.ts'
import { runHook } from '../../../core/consistency/run-hook.ts'
import { hookProgram, processEnded } from '../../support/hook-program.ts'
import { failsWith } from '../../support/snapshot-test.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const SUBJECT = { vm: 'vm-1', uuid: '0004fb00', name: 'a "b"; $(touch /tmp/x) {uuid}\n\0' }

function run(argv: readonly string[], timeoutMs = 20_000, signal?: AbortSignal) {
  return runHook({ name: 'quiesce.before', argv, timeoutMs }, signal)
}

test('placeholders are filled in once, and each argument stays one', async () => {
  await using folder = await temporaryDirectory('hook')
  const hook = await hookProgram(folder.path, 'hook', '')
  const argv = hookArguments([hook.path, '{vm}', 'n={name}!', '{uuid}{uuid}', '', '-x', '{other}'], SUBJECT)
  await run(argv)
  assert.deepEqual(await hook.calls(), [
    '<vm-1><n=a "b"; $(touch /tmp/x) {uuid}__!><0004fb000004fb00><><-x><{other}>',
  ])
})

test('a name that would become an option is refused', () => {
  assert.throws(
    () => hookArguments(['/bin/x', '{name}'], { ...SUBJECT, name: '--force' }),
    failsWith('QUIESCE_FAILED', /would be "--force".*--vm=/),
  )
  assert.deepEqual(hookArguments(['/bin/x', '--vm={name}'], { ...SUBJECT, name: '-f' }), [
    '/bin/x',
    '--vm=-f',
  ])
})

test('a hook that fails is told with the end of what it wrote, and no more', async () => {
  await using folder = await temporaryDirectory('hook')
  const hook = await hookProgram(
    folder.path,
    'hook',
    'head -c 5000000 /dev/zero | tr "\\0" x; echo "guest is locked" >&2; exit 3',
  )
  await assert.rejects(run([hook.path]), (error: unknown) => {
    failsWith('QUIESCE_FAILED', /ended with exit code 3; it wrote: \.\.\. x+/)(error)
    const { message } = error as Error
    assert.ok(message.endsWith('guest is locked'))
    assert.ok(message.length < 4600, `${message.length} characters`)
    return true
  })
  await assert.rejects(run([`${folder.path}/none`]), failsWith('QUIESCE_FAILED', /there is no such program/))
  await assert.rejects(run([folder.path]), failsWith('QUIESCE_FAILED', /can't be started.*EACCES/))
  const killed = await hookProgram(folder.path, 'killed', 'kill -TERM $$')
  await assert.rejects(run([killed.path]), failsWith('QUIESCE_FAILED', /ended by SIGTERM/))
})

test('a hook that takes too long is killed with all its processes', async () => {
  await using folder = await temporaryDirectory('hook')
  const hook = await hookProgram(
    folder.path,
    'hook',
    'trap "" TERM INT HUP\nsleep 600 & echo $! > "$0.pid"; echo waiting; wait; sleep 600',
  )
  await assert.rejects(
    run([hook.path], 2000),
    failsWith('QUIESCE_FAILED', /not done after 2000 ms and was killed; it wrote: waiting/),
  )
  await processEnded(Number(await readFile(`${hook.path}.pid`, 'utf8')))
})

test('an abort kills a hook with all its processes', async () => {
  await using folder = await temporaryDirectory('hook')
  const hook = await hookProgram(
    folder.path,
    'hook',
    'sleep 600 & echo $! > "$0.pid"; echo >> "$0.calls"; wait',
  )
  const controller = new AbortController()
  const running = run([hook.path], 60_000, controller.signal)
  await hook.called(2)
  controller.abort()
  await assert.rejects(running, failsWith('ABORTED', /client went away/))
  await processEnded(Number(await readFile(`${hook.path}.pid`, 'utf8')))
  await assert.rejects(run([hook.path], 60_000, AbortSignal.abort()), failsWith('ABORTED'))
  assert.equal((await hook.calls()).length, 2)
})

test('a hook is done when it ends, although a process that it leaves behind holds its output', async () => {
  await using folder = await temporaryDirectory('hook')
  const hook = await hookProgram(folder.path, 'hook', 'sleep 600 & echo $! > "$0.pid"; echo frozen')
  const { output, ms } = await run([hook.path])
  const left = Number(await readFile(`${hook.path}.pid`, 'utf8'))
  process.kill(left, 0)
  process.kill(left, 'SIGKILL')
  assert.equal(output, 'frozen')
  assert.ok(ms < 15_000, `${ms} ms`)
})
