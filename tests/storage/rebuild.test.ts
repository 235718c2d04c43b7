/** The database is an index: without it, or with garbage in its place, it is made anew from the snapshots' own files. */

import assert from 'node:assert/strict'
import { copyFile, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ACROSS, BESIDE, type CrashBench } from '../support/crash-bench.ts'
import { crashTest } from '../support/crash-test.ts'
import { overwrite, scribble } from '../support/damage-database.ts'
import { runProgram } from '../support/program.ts'
import type { LogLine } from '../support/server.ts'
import { CRASH_CASES } from './crash-cases.ts'

const SIDE_BY_SIDE = /^diskferry\.db\.broken-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z$/

interface Damage {
  readonly what: string
  readonly setAside: boolean
  damage(file: string): Promise<void>
}

const DAMAGES: readonly Damage[] = [
  { what: 'deleted', setAside: false, damage: (file) => rm(file) },
  { what: 'of no bytes', setAside: false, damage: (file) => truncate(file, 0) },
  { what: 'all garbage', setAside: true, damage: (file) => writeFile(file, Buffer.alloc(20_000, 0xa5)) },
  { what: 'of one byte', setAside: true, damage: (file) => writeFile(file, 'S') },
  { what: 'cut', setAside: true, damage: (file) => truncate(file, 5000) },
  { what: 'cut to its header', setAside: true, damage: (file) => truncate(file, 100) },
  { what: 'overwritten behind its header', setAside: true, damage: (file) => overwrite(file, 200, 4000) },
  { what: 'overwritten in its values', setAside: true, damage: scribble },
  {
    what: 'all garbage, with garbage for its journals',
    setAside: true,
    async damage(file) {
      await writeFile(file, Buffer.alloc(20_000, 0xa5))
      for (const suffix of ['-journal', '-wal', '-shm'])
        await writeFile(file + suffix, Buffer.alloc(9000, 0x5a))
    },
  },
]

crashTest(
  'a database that is deleted or damaged is set aside and made anew, and says so',
  async (bench, { signal }) => {
    await snapshots(bench)
    const whole = join(bench.directory, 'whole')
    await copyFile(bench.databaseFile, whole)
    for (const { what, setAside, damage } of DAMAGES) {
      signal.throwIfAborted()
      await copyFile(whole, bench.databaseFile)
      await damage(bench.databaseFile)
      const before = setAside ? await readFile(bench.databaseFile) : undefined
      await bench.onServer(async (client, { logs }) => {
        assert.equal(broken(logs) !== undefined, setAside, `the log of a database ${what}`)
        const rebuilt = logs.filter(({ msg }) => /^the database is new: [23] snapshots/.test(String(msg)))
        assert.equal(rebuilt.length, 2, `each repository is read again, with a database ${what}`)
        await bench.verify(client)
      })
      const aside = (await readdir(bench.directory)).filter((name) => name.includes('.broken-'))
      assert.equal(aside.filter((name) => SIDE_BY_SIDE.test(name)).length, setAside ? 1 : 0, what)
      for (const name of aside.filter((found) => SIDE_BY_SIDE.test(found))) {
        assert.ok((await readFile(join(bench.directory, name))).equals(before!), 'it is kept as it was')
      }
      for (const name of aside) await rm(join(bench.directory, name))
      // The database that was made anew is not filled again.
      await bench.onServer(async (client, { logs }) => {
        assert.deepEqual(
          logs.filter(({ msg }) => /database is/.test(String(msg))),
          [],
        )
        await bench.verify(client)
      })
    }
  },
)

crashTest('a whole database is kept whatever lies where its write-ahead log would be', async (bench) => {
  await snapshots(bench)
  for (const suffix of ['-wal', '-shm', '-journal']) await writeFile(bench.databaseFile + suffix, 'garbage')
  await bench.onServer(async (client, { logs }) => {
    assert.equal(broken(logs), undefined)
    await bench.verify(client)
  })
})

crashTest('a server killed while it makes the database anew makes it at last', async (bench, { signal }) => {
  await snapshots(bench)
  for (const fault of CRASH_CASES.rebuild) {
    signal.throwIfAborted()
    await writeFile(bench.databaseFile, Buffer.alloc(20_000, 0xa5))
    await bench.dieAtStart(fault)
    await bench.onServer((client) => bench.verify(client))
  }
})

crashTest(
  'snapshots of a repository that is not mounted at a rebuild come back with it',
  async (bench, { filesystem }) => {
    await snapshots(bench)
    await rm(bench.databaseFile)
    await filesystem.unmount()
    await bench.onServer(async (client, server) => {
      assert.deepEqual(await bench.listed(client, BESIDE), [])
      assert.deepEqual(await bench.listed(client, ACROSS), [], 'half of its disks are not there')
      await filesystem.mount()
      await server.logged(({ msg }) => String(msg).startsWith('the database is new: 3 snapshots'))
      await bench.verify(client)
    })
  },
)

crashTest('a half-written snapshot.json is neither believed nor touched', async (bench) => {
  await snapshots(bench)
  const id = bench.idsOf(BESIDE)[0]!
  const file = (await bench.files()).find((path) => path.endsWith(`${id}/snapshot.json`))!
  const text = await readFile(file, 'utf8')
  await writeFile(file, text.slice(0, text.length / 2))
  await bench.onServer(async (client) => {
    assert.deepEqual(await bench.listed(client, BESIDE), [id])
    const { statusCode, body } = await client.call('GET', `/api/v1/vms/${BESIDE}/snapshots/${id}`)
    assert.match(await body.text(), /snapshot\.json is not JSON, or only a part of it/)
    assert.equal(statusCode, 409)
  })
  await rm(bench.databaseFile)
  const disks = bench.expected.get(BESIDE)!.get(id)!
  bench.forget(BESIDE, id)
  await bench.onServer(async (client, { logs }) => {
    assert.deepEqual(await bench.listed(client, BESIDE), [])
    assert.deepEqual(await bench.listed(client, ACROSS), bench.idsOf(ACROSS))
    const told = logs.find(({ snapshot }) => snapshot === id)
    assert.match(String(told?.['reason']), /not JSON, or only a part of it/)
  })
  assert.equal(await readFile(file, 'utf8'), text.slice(0, text.length / 2))
  const disk = [...disks.keys()][0]!
  assert.ok((await readFile(join(dirname(file), disk))).equals(disks.get(disk)!), 'its disk is untouched')
  assert.equal(basename(dirname(file)), id)
})

crashTest('half a snapshot is not taken for one when the database is lost too', async (bench) => {
  await snapshots(bench)
  const [doomed, next] = bench.idsOf(ACROSS) as [string, string]
  // The folder of the first repository is gone, that of the second has its disk.
  const path = `/api/v1/vms/${ACROSS}/snapshots`
  await bench.dieAt('remove.folder', async () => ({ method: 'DELETE', path: `${path}/${doomed}` }))
  await rm(bench.databaseFile)
  bench.forget(ACROSS, doomed)
  // One disk of two is cloned.
  await bench.dieAt('create.cloned', async () => ({ method: 'POST', path }))
  await rm(bench.databaseFile)
  // Every file is there, and in the second repository nothing tells what was begun in the first.
  await bench.dieAt('remove.retired', async () => ({ method: 'DELETE', path: `${path}/${next}` }))
  await rm(bench.databaseFile)
  bench.forget(ACROSS, next)
  await bench.onServer(async (client, { configFile }) => {
    assert.deepEqual(await bench.listed(client, ACROSS), bench.idsOf(ACROSS))
    const { stdout } = await runProgram('orphans', 'list', '--json', '--config', configFile)
    const found = JSON.parse(stdout) as { readonly id: string; readonly state: string }[]
    assert.deepEqual(found.map(({ state }) => state).sort(), ['deleting', 'deleting', 'unfinished'])
    for (const { id } of found) await runProgram('orphans', 'remove', id, '--config', configFile)
    await bench.verify(client)
  })
})

crashTest('a snapshot adopted into a lost database does not keep the others out', async (bench) => {
  await snapshots(bench)
  const configFile = await bench.onServer(async (_, server) => server.configFile)
  await rm(bench.databaseFile)
  const adopted = bench.idsOf(ACROSS)[1]!
  for (const args of [['list'], ['adopt', adopted]]) {
    const { code, stderr } = await runProgram('orphans', ...args, '--config', configFile)
    assert.equal(code, 0, stderr)
  }
  await bench.onServer((client) => bench.verify(client))
})

/** Three snapshots in the first repository, two in the second. */
async function snapshots(bench: CrashBench): Promise<void> {
  await bench.onServer(async (client) => {
    await bench.snapshot(client, ACROSS)
    await bench.snapshot(client, BESIDE)
    await bench.snapshot(client, ACROSS)
  })
}

function broken(logs: readonly LogLine[]): LogLine | undefined {
  return logs.find(({ msg }) => String(msg).startsWith('the database is broken and was set aside'))
}
