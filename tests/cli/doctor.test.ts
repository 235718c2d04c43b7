/** The commands that look at what the server works with, and that take in or away what it does not know. */

import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { SnapshotStore } from '../../core/snapshots/snapshot-store.ts'
import { openDatabase, VMS_NAMESPACE } from '../../core/store/database.ts'
import { command } from '../support/command.ts'
import { ACROSS, BESIDE, type CrashBench } from '../support/crash-bench.ts'
import { crashTest } from '../support/crash-test.ts'
import { type ProgramResult, runProgram } from '../support/program.ts'

const ANCESTOR_ID = '0f6c5d5e-2f3b-4a57-9f3e-6a1d2c3b4a59'
const OTHER_ID = '1f6c5d5e-2f3b-4a57-9f3e-6a1d2c3b4a59'

/** Whom the audit lines of a command name. */
const USER = process.env['SUDO_USER'] ?? process.env['USER'] ?? String(process.getuid!())

interface Finding {
  readonly area: string
  readonly level: string
  readonly message: string
}

crashTest('doctor finds nothing wrong where nothing is, and what is damaged where it is', async (bench) => {
  const config = await threeSnapshots(bench)
  const well = await runProgram('doctor', '--config', config)
  assert.equal(well.code, 0, well.stdout + well.stderr)
  assert.match(well.stdout, /snapshots: 3 are what was recorded/)
  assert.match(well.stdout, /orphans: there are none/)
  assert.match(well.stdout, /\n0 problems, 0 warnings\n$/)

  const clone = (await bench.files()).find((path) => path.endsWith('beside.img'))!
  await truncate(clone, 4096)
  const across = bench.idsOf(ACROSS)[1]!
  const manifests = (await bench.files()).filter((path) => path.endsWith(`${across}/snapshot.json`))
  assert.equal(manifests.length, 2)
  for (const manifest of manifests) await truncate(manifest, 100)
  const { code, findings } = await report(config)
  assert.equal(code, 1)
  assert.deepEqual(
    findings.filter(({ level }) => level !== 'ok').map(({ area, level }) => `${area} ${level}`),
    ['snapshots problem', 'snapshots problem'],
  )
  const told = JSON.stringify(findings)
  assert.match(told, /vm-beside, snapshot [^"]* 4096 bytes where 524288 were recorded/)
  assert.match(told, new RegExp(`vm-across, snapshot ${across}: the snapshot's snapshot.json is not JSON`))
})

crashTest('doctor leaves a broken database where it is, and looks at the rest', async (bench) => {
  const config = await threeSnapshots(bench)
  await writeFile(bench.databaseFile, 'garbage, and enough of it for a header')
  const { code, findings } = await report(config)
  assert.equal(code, 1)
  assert.match(
    message(findings, 'database', 'problem'),
    /not an SQLite database.*serve. sets a damaged one aside/,
  )
  assert.match(message(findings, 'orphans', 'ok'), /3 snapshots come back/)
  assert.match(await readFile(bench.databaseFile, 'utf8'), /^garbage/)
  await rm(bench.databaseFile)
  const absent = await report(config)
  assert.equal(absent.code, 0)
  assert.match(message(absent.findings, 'database', 'warning'), /makes it anew/)
  assert.ok(!(await readdir(bench.directory)).includes(basename(bench.databaseFile)), 'it is not made')
  const none = await report(join(bench.directory, 'none.toml'))
  assert.equal(none.code, 1)
  assert.match(message(none.findings, 'configuration', 'problem'), /none\.toml/)
})

crashTest(
  'a snapshot of the ancestor is an orphan until it is adopted, and right from then on',
  async (bench, { mount }) => {
    const config = await threeSnapshots(bench)
    const disks = bench.disksNow(BESIDE)
    await layAncestor(mount, ANCESTOR_ID, ['beside.img'])
    const { code, findings } = await report(config)
    assert.equal(code, 0, 'it is no problem')
    assert.match(message(findings, 'orphans', 'warning'), new RegExp(`${ANCESTOR_ID}.*no snapshot.json`))
    await bench.onServer(async (client) => {
      const known = await bench.listed(client, BESIDE)
      assert.deepEqual(known, bench.idsOf(BESIDE), 'a start takes nothing in')
      assert.equal(
        await said('orphans', 'adopt', ANCESTOR_ID, '--config', config),
        `${ANCESTOR_ID} is a snapshot of VM vm-beside now.\n`,
      )
      bench.expect(BESIDE, ANCESTOR_ID, disks)
      await bench.snapshot(client, BESIDE)
      await bench.verify(client)
    })
    // It has a snapshot.json now, which the index can be made of.
    await rm(bench.databaseFile)
    await bench.onServer((client) => bench.verify(client))
    assert.match(await said('orphans', 'list', '--config', config), /There are no orphans/)
  },
)

crashTest(
  'files that are not a whole snapshot of one VM are not adopted, and removed when asked for',
  async (bench, { mount }) => {
    const config = await threeSnapshots(bench)
    await layAncestor(mount, ANCESTOR_ID, ['system.img'])
    await fails(
      /lacks the disks data\.img of VM vm-across/,
      'orphans',
      'adopt',
      ANCESTOR_ID,
      '--vm',
      ACROSS,
      '--config',
      config,
    )
    await fails(/no VM has just the disks system\.img/, 'orphans', 'adopt', ANCESTOR_ID, '--config', config)
    await fails(
      /has no disks system\.img|lacks the disks beside/,
      'orphans',
      'adopt',
      ANCESTOR_ID,
      '--vm',
      BESIDE,
      '--config',
      config,
    )
    await layAncestor(mount, OTHER_ID, ['beside.img'])
    await writeFile(join(mount, 'CoriolisSnapshots', OTHER_ID, '.snapshot.json.deleting'), '{')
    await fails(/half deleted/, 'orphans', 'adopt', OTHER_ID, '--config', config)
    const listed = JSON.parse(await said('orphans', 'list', '--json', '--config', config))
    assert.deepEqual(
      listed.map(({ id, state }: { id: string; state: string }) => [id, state]),
      [
        [ANCESTOR_ID, 'plain'],
        [OTHER_ID, 'deleting'],
      ],
    )
    const mine = bench.idsOf(BESIDE)[0]!
    await fails(/no mounted repository has an orphan/, 'orphans', 'remove', mine, '--config', config)
    await fails(
      /no mounted repository has an orphan/,
      'orphans',
      'remove',
      '../VirtualDisks',
      '--config',
      config,
    )
    const logFile = join(bench.directory, 'log')
    const logging = join(bench.directory, 'logging.toml')
    await writeFile(logging, `log_file = "${logFile}"\n${await readFile(config, 'utf8')}`)
    await said('orphans', 'remove', ANCESTOR_ID, OTHER_ID, '--config', logging)
    const removed = { audit: 'orphan.remove', outcome: 'ok', code: undefined, user: USER, client: null }
    assert.deepEqual(auditLines(await readFile(logFile, 'utf8')), [
      { ...removed, vm: undefined, snapshot: ANCESTOR_ID },
      { ...removed, vm: undefined, snapshot: OTHER_ID },
    ])
    await bench.onServer((client) => bench.verify(client))
  },
)

crashTest(
  'a whole snapshot that an older copy of the database lacks is adopted with its disks in both repositories, a leased one removed by force',
  async (bench) => {
    const config = await threeSnapshots(bench)
    const older = join(bench.directory, 'older')
    await copyFile(bench.databaseFile, older)
    const doomed = await bench.onServer(async (client) => {
      await bench.snapshot(client, ACROSS)
      const { id } = await client.createSnapshot(BESIDE)
      const body = '{"ttl": "1h", "holder": "chain"}'
      await client.json('PUT', `/api/v1/vms/${BESIDE}/snapshots/${id}/lease`, { body })
      return id
    })
    await rename(older, bench.databaseFile)
    const removal = ['orphans', 'remove', doomed, '--config', config]
    const kept = await fails(/is leased by "chain" until \d{4}-.*--force/, ...removal)
    const deed = { audit: 'orphan.remove', user: USER, client: null, snapshot: doomed }
    assert.deepEqual(auditLines(kept), [
      { ...deed, outcome: 'failed', code: 'ORPHAN_REFUSED', vm: undefined },
    ])
    assert.ok((await bench.files()).some((path) => path.endsWith(`${doomed}/beside.img`)))
    const gone = await runProgram(...removal, '--force')
    assert.deepEqual(auditLines(gone.stderr), [{ ...deed, outcome: 'ok', code: undefined, vm: BESIDE }])
    assert.match(gone.stderr, /"force":true,"vm":"vm-beside","holder":"chain","expires_at":"\d{4}-/)

    const id = bench.idsOf(ACROSS).at(-1)!
    const { findings } = await report(config)
    assert.match(message(findings, 'orphans', 'warning'), new RegExp(`${id} of VM vm-across: it is whole`))
    const wrong = await fails(
      /is of VM vm-across/,
      'orphans',
      'adopt',
      id,
      '--vm',
      BESIDE,
      '--config',
      config,
    )
    const line = { audit: 'orphan.adopt', user: USER, client: null, snapshot: id }
    assert.deepEqual(auditLines(wrong), [{ ...line, outcome: 'failed', code: 'ORPHAN_REFUSED', vm: BESIDE }])
    const { stderr } = await runProgram('orphans', 'adopt', id, '--config', config)
    assert.deepEqual(auditLines(stderr), [{ ...line, outcome: 'ok', code: undefined, vm: ACROSS }])
    await bench.onServer((client) => bench.verify(client))
  },
)

crashTest('doctor tells of a snapshot that a killed server left', async (bench) => {
  const config = await threeSnapshots(bench)
  const database = await openDatabase(bench.databaseFile, () => undefined)
  const store = new SnapshotStore(database.keyv(VMS_NAMESPACE))
  const record = await store.read(BESIDE)
  await store.write({
    ...record,
    snapshots: record.snapshots.map((known) => ({ ...known, state: 'deleting' })),
  })
  await database.close()
  const { code, findings } = await report(config)
  assert.equal(code, 0)
  assert.match(message(findings, 'snapshots', 'warning'), /vm-beside, snapshot .*: deleting/)
})

/** @returns the configuration file */
async function threeSnapshots(bench: CrashBench): Promise<string> {
  return bench.onServer(async (client, { configFile }) => {
    await bench.snapshot(client, ACROSS)
    await bench.snapshot(client, BESIDE)
    await bench.snapshot(client, ACROSS)
    return configFile
  })
}

/** As the Coriolis OVM exporter leaves a snapshot: the clones and nothing else. */
async function layAncestor(mount: string, id: string, disks: readonly string[]): Promise<void> {
  const folder = join(mount, 'CoriolisSnapshots', id)
  await mkdir(folder)
  for (const name of disks) {
    await command('cp', ['--reflink=always', join(mount, name), join(folder, name)])
  }
}

async function report(config: string): Promise<{ code: number | null; findings: readonly Finding[] }> {
  const { code, stdout, stderr } = await runProgram('doctor', '--json', '--config', config)
  assert.equal(stderr, '')
  const { sound, findings } = JSON.parse(stdout) as { sound: boolean; findings: readonly Finding[] }
  assert.equal(sound, code === 0)
  return { code, findings }
}

function message(findings: readonly Finding[], area: string, level: string): string {
  const found = findings.filter((finding) => finding.area === area && finding.level === level)
  assert.equal(found.length, 1, `one ${level} of ${area}: ${JSON.stringify(findings)}`)
  return found[0]!.message
}

async function said(...args: readonly string[]): Promise<string> {
  const result = await runProgram(...args)
  assert.equal(result.code, 0, result.stderr)
  return result.stdout
}

/** @returns what it wrote to standard error */
async function fails(why: RegExp, ...args: readonly string[]): Promise<string> {
  const { code, stderr }: ProgramResult = await runProgram(...args)
  assert.match(stderr, why)
  assert.equal(code, 1)
  return stderr
}

/** What the lines of a log say of changes, among others that need not be JSON. */
function auditLines(log: string) {
  return log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => {
      const { audit, outcome, code, user, client, vm, snapshot } = JSON.parse(line)
      return { audit, outcome, code, user, client, vm, snapshot }
    })
}
