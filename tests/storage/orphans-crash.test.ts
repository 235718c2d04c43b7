/** `diskferry orphans` is killed at each step; nothing is lost, and doing it again ends it. */

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { constants, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { FAULT_POINT_VARIABLE } from '../../core/fault-points.ts'
import { ACROSS, BESIDE, type CrashBench } from '../support/crash-bench.ts'
import { crashTest } from '../support/crash-test.ts'
import { runProgram, runProgramWith } from '../support/program.ts'
import { CRASH_CASES } from './crash-cases.ts'

const ADOPTIONS = [
  ...CRASH_CASES.adopt.map((fault) => ({ fault, whole: false })),
  ...CRASH_CASES.adoptWhole.map((fault) => ({ fault, whole: true })),
]

crashTest(
  'an adoption over two repositories that is killed at any step loses nothing and can be done again',
  async (bench, { signal }) => {
    const { id, commands } = await begun(bench)
    const manifests = (await bench.files()).filter((path) => path.endsWith(`/${id}/snapshot.json`))
    assert.equal(manifests.length, 2)
    for (const { fault, whole } of ADOPTIONS) {
      signal.throwIfAborted()
      await rm(bench.databaseFile)
      if (!whole) for (const manifest of manifests) await rm(manifest)
      await commands.dieAt(fault, 'adopt', id, '--vm', ACROSS)
      const left = await commands.list()
      assert.equal(left.has(id), fault !== 'adopt.recorded', `it is still an orphan after ${fault}`)
      if (left.has(id)) await commands.run('adopt', id, '--vm', ACROSS)
      assert.ok(!(await commands.list()).has(id), fault)
    }
    // The other one comes back too: the database was new to the command.
    await bench.onServer((client) => bench.verify(client))
    await rm(bench.databaseFile)
    await bench.onServer((client) => bench.verify(client))
  },
)

crashTest(
  'a removal of an orphan that is killed at any step can be done again, and takes nothing else',
  async (bench, { signal }) => {
    const { id, commands } = await begun(bench)
    for (const fault of CRASH_CASES.removeOrphan) {
      signal.throwIfAborted()
      const orphan = await copied(bench, id)
      await commands.dieAt(fault, 'remove', orphan)
      const state = (await commands.list()).get(orphan)
      const gone = fault === 'remove.folder:2'
      assert.equal(state, gone ? undefined : 'deleting', fault)
      if (!gone) await commands.run('remove', orphan)
      assert.deepEqual([...(await commands.list()).keys()], [], fault)
    }
    await bench.onServer((client) => bench.verify(client))
  },
)

/** A snapshot over two repositories, one beside it, and the commands for a server that is stopped. */
async function begun(bench: CrashBench) {
  const { id, configFile } = await bench.onServer(async (client, server) => {
    await bench.snapshot(client, BESIDE)
    return { id: await bench.snapshot(client, ACROSS), configFile: server.configFile }
  })
  const run = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await runProgram('orphans', ...args, '--config', configFile)
    assert.equal(code, 0, stderr)
    return stdout
  }
  const commands = {
    run,
    /** States by id. */
    async list(): Promise<ReadonlyMap<string, string>> {
      const found = JSON.parse(await run('list', '--json')) as {
        readonly id: string
        readonly state: string
      }[]
      return new Map(found.map(({ id, state }) => [id, state]))
    },
    async dieAt(fault: string, ...args: readonly string[]): Promise<void> {
      const env = { [FAULT_POINT_VARIABLE]: fault }
      const { code, stderr } = await runProgramWith(env, 'orphans', ...args, '--config', configFile)
      assert.equal(code, null, `${args[0]} passes ${fault}: ${stderr}`)
    },
  }
  return { id, commands }
}

/** The files of a snapshot under another id, which no record knows. */
async function copied(bench: CrashBench, id: string): Promise<string> {
  const orphan = randomUUID()
  const files = (await bench.files()).filter((path) => basename(dirname(path)) === id)
  for (const path of files) {
    const folder = join(dirname(dirname(path)), orphan)
    await mkdir(folder, { recursive: true })
    const copy = join(folder, basename(path))
    if (basename(path) !== 'snapshot.json') await copyFile(path, copy, constants.COPYFILE_FICLONE)
    else await writeFile(copy, (await readFile(path, 'utf8')).replaceAll(id, orphan))
  }
  return orphan
}
