import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { FAULT_POINT_VARIABLE, FAULT_POINTS } from '../../core/fault-points.ts'
import { CRASH_CASES } from '../storage/crash-cases.ts'

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
const FOLDERS = ['api', 'backends', 'cli', 'config', 'conformance', 'core', 'inventory', 'native']

describe('the fault points', () => {
  it('are each passed at one place of the sources, and no other is', async () => {
    const calls = (await sources()).flatMap((text) =>
      [...text.matchAll(/\bfaultPoint\('([^']+)'\)/g)].map(([, point]) => point),
    )
    assert.deepEqual(calls.sort(), Object.keys(FAULT_POINTS).sort())
  })

  it('are called with nothing but a name of the table', async () => {
    const calls = (await sources()).flatMap((text) => [...text.matchAll(/\bfaultPoint\((.)/g)])
    // One is the function itself.
    assert.equal(calls.filter(([, first]) => first !== "'").length, 1)
  })

  it('are each killed at by the crash tests', () => {
    const killedAt = new Set<string>(
      Object.values(CRASH_CASES)
        .flat()
        .map((name) => name.split(':')[0]!),
    )
    assert.deepEqual([...killedAt].sort(), Object.keys(FAULT_POINTS).sort())
  })

  it('kill only the one that the variable names, at the time that it names', () => {
    assert.deepEqual(passing('create.cloned', 'create.cloned'), { signal: 'SIGKILL', passed: '' })
    assert.deepEqual(passing('create.cloned:2', 'create.cloned'), { signal: 'SIGKILL', passed: '1' })
    assert.deepEqual(passing('create.ready', 'create.cloned'), { signal: null, passed: '123' })
    assert.deepEqual(passing('', 'create.cloned'), { signal: null, passed: '123' })
  })
})

/** Passes a point three times in a program of its own. */
function passing(variable: string, point: string) {
  const script = `
    import { faultPoint } from '${join(PROJECT, 'core/fault-points.ts')}'
    import { writeSync } from 'node:fs'
    for (const count of [1, 2, 3]) { faultPoint('${point}'); writeSync(1, String(count)) }`
  const { signal, stdout } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', script],
    {
      cwd: PROJECT,
      encoding: 'utf8',
      env: { ...process.env, ...(variable !== '' && { [FAULT_POINT_VARIABLE]: variable }) },
    },
  )
  return { signal, passed: stdout }
}

async function sources(): Promise<readonly string[]> {
  const texts: string[] = []
  for (const folder of FOLDERS) {
    for (const name of await readdir(join(PROJECT, folder), { recursive: true })) {
      if (name.endsWith('.ts') && !name.includes('node_modules')) {
        texts.push(await readFile(join(PROJECT, folder, name), 'utf8'))
      }
    }
  }
  return texts
}
