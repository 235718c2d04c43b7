import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EXAMPLE_VM_ID } from '../support/agent-repository.ts'
import { ApiClient, type RemoteSnapshot } from '../support/api-client.ts'
import { writeAt } from '../support/core.ts'
import { type Lab, openLab } from '../support/lab.ts'
import { databaseFile, startServer } from '../support/server.ts'
import { MIB } from '../support/snapshot-test.ts'
import { storageTest } from '../support/storage-test.ts'

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
const PLUGIN = join(PROJECT, 'tests/fixtures/backend-hiding/backend.mjs')
const HIDDEN = 8 * MIB
const EXTRA_CONFIG = `[[backends]]
module = ${JSON.stringify(PLUGIN)}
[backends.options]
from = ${HIDDEN}
to = ${HIDDEN + MIB}
`
const VM = {
  id: EXAMPLE_VM_ID,
  friendlyName: 'audited',
  disks: [{ name: 'system.img', deviceName: 'xvda', size: 32 * MIB }],
} as const

interface RemoteAudit {
  readonly state: string
  readonly verdict: string
  readonly blocks: number
  readonly blocks_read: number
  readonly mismatches: readonly { readonly start: number; readonly length: number }[]
}

function auditPath({ id }: RemoteSnapshot): string {
  return `/api/v1/vms/${VM.id}/snapshots/${id}/audit`
}

/** Begins an audit and asks for it until it has ended, or has read so many blocks. */
async function audit(
  client: ApiClient,
  target: RemoteSnapshot,
  options: { readonly compareTo: string; readonly rate?: number },
  blocks = Number.POSITIVE_INFINITY,
): Promise<RemoteAudit> {
  const answer = await client.call('POST', auditPath(target), { body: JSON.stringify(options) })
  const text = await answer.body.text()
  assert.equal(answer.statusCode, 202, text)
  for (;;) {
    const now = (await client.json('GET', auditPath(target))) as RemoteAudit
    if (now.state !== 'running' || now.blocks_read >= blocks) return now
  }
}

/** Brings a copy of the base up to date as a client does, and compares it with the target's file. */
async function pullsRight(
  client: ApiClient,
  base: RemoteSnapshot,
  target: RemoteSnapshot,
): Promise<{ readonly right: boolean; readonly method: string | undefined }> {
  const copy = await readFile(base.disks[0]!.path)
  const source = await readFile(target.disks[0]!.path)
  const [disk] = (await client.snapshot(VM.id, target.id, base.id)).disks
  for (const { start, length, zero } of disk!.chunks) {
    if (zero) copy.fill(0, start, start + length)
    else source.copy(copy, start, start, start + length)
  }
  return { right: copy.equals(source), method: disk!.diff?.method }
}

interface AuditEnd {
  readonly code: number
  /** With what went to standard error behind it. */
  readonly stdout: string
}

function spawnAudit(configFile: string, args: readonly string[]) {
  const line = ['--import', 'tsx', 'main.ts', 'audit', '--config', configFile, ...args]
  let settle: (end: AuditEnd) => void
  const ended = new Promise<AuditEnd>((resolve) => {
    settle = resolve
  })
  const child = execFile(process.execPath, line, { cwd: PROJECT }, (_error, stdout, stderr) =>
    settle({ code: child.exitCode ?? -1, stdout: `${stdout}${stderr}` }),
  )
  return { child, ended }
}

function runAudit(configFile: string, args: readonly string[]): Promise<AuditEnd> {
  return spawnAudit(configFile, args).ended
}

async function threeSnapshots({ client, addVm }: Lab) {
  const disk = (await addVm(VM)).get('system.img')!
  await writeAt(disk, 4 * MIB, Buffer.alloc(8 * MIB, 1))
  const first = await client.createSnapshot(VM.id)
  await writeAt(disk, HIDDEN, Buffer.alloc(8192, 2))
  await writeAt(disk, 5 * MIB, Buffer.alloc(8192, 2))
  const second = await client.createSnapshot(VM.id)
  await writeAt(disk, 6 * MIB, Buffer.alloc(8192, 3))
  return { first, second, third: await client.createSnapshot(VM.id) }
}

function startServerAgain({ local }: Lab) {
  return startServer({
    directory: join(local, 'server'),
    agentDbDir: join(local, 'agent-db'),
    extraConfig: EXTRA_CONFIG,
  })
}

storageTest(
  'xfs',
  'an audit finds what a plugin hides, and the next difference is right, without the database too',
  async ({ mount }) => {
    await using lab = await openLab({ mountPoint: mount, extraConfig: EXTRA_CONFIG })
    const { client, server } = lab
    const { first, second, third } = await threeSnapshots(lab)
    assert.deepEqual(await pullsRight(client, first, second), { right: false, method: 'physical' })

    const found = await audit(client, second, { compareTo: first.id })
    assert.equal(found.state, 'mismatch', found.verdict)
    assert.deepEqual(
      found.mismatches.map(({ start, length }) => [start, length]),
      [[HIDDEN, 8192]],
    )
    const line = server.logs.find(({ level, start }) => level === 'error' && start === HIDDEN)
    assert.ok(line !== undefined, JSON.stringify(server.logs))
    assert.deepEqual(
      [line['vm'], line['disk'], line['path'], line['backend']],
      [VM.id, 'system.img', second.disks[0]!.path, 'hiding-xfs'],
    )
    assert.match(String(line['msg']), /believe no difference of this repository/)
    assert.deepEqual(await pullsRight(client, first, second), { right: true, method: 'content' })
    const metrics = await (await client.call('GET', '/metrics')).body.text()
    assert.match(metrics, /^diskferry_audit_mismatches_total 1$/m)
    assert.match(metrics, /^diskferry_distrusted_pairs 1$/m)

    const honest = await audit(client, third, { compareTo: second.id })
    assert.equal(honest.state, 'passed', honest.verdict)
    assert.deepEqual(await pullsRight(client, second, third), { right: true, method: 'physical' })

    assert.equal(await server.stop(), 0)
    await rm(databaseFile(join(lab.local, 'server')))
    await using next = await startServerAgain(lab)
    await using again = new ApiClient(next)
    await again.login()
    assert.deepEqual(await pullsRight(again, first, second), { right: true, method: 'content' })
    assert.deepEqual(await pullsRight(again, second, third), { right: true, method: 'physical' })
  },
)

storageTest('xfs', 'the command audits beside a running server, which then knows', async ({ mount }) => {
  await using lab = await openLab({ mountPoint: mount, extraConfig: EXTRA_CONFIG })
  const { client, server } = lab
  const { first, second, third } = await threeSnapshots(lab)
  const good = await runAudit(server.configFile, [
    ...[VM.id, third.id, '--compare-to', second.id],
    ...['--sample', '500', '--seed', '1'],
  ])
  assert.equal(good.code, 0, good.stdout)
  assert.match(good.stdout, /without a mismatch: with 95 % confidence at most \d+ bytes differ unnoticed/)

  assert.deepEqual(await pullsRight(client, first, third), { right: false, method: 'physical' })
  const bad = await runAudit(server.configFile, [VM.id, third.id, '--compare-to', first.id, '--json'])
  assert.equal(bad.code, 3, bad.stdout)
  assert.equal((JSON.parse(bad.stdout) as { mismatch_bytes: number }).mismatch_bytes, 8192)
  assert.deepEqual(await pullsRight(client, first, third), { right: true, method: 'content' })

  const wrong = await runAudit(server.configFile, [VM.id, third.id, '--compare-to', first.id, '--rate', '1'])
  assert.equal(wrong.code, 2, wrong.stdout)
  assert.match(wrong.stdout, /--rate: '1' is not an integer from 65536/)
})

storageTest('xfs', 'Ctrl-C ends the command and its audit; the server leaves it alone', async ({ mount }) => {
  await using lab = await openLab({ mountPoint: mount, extraConfig: EXTRA_CONFIG })
  const { client, server } = lab
  const { second, third } = await threeSnapshots(lab)
  const args = [VM.id, third.id, '--compare-to', second.id, '--rate', '65536']
  const { child, ended } = spawnAudit(server.configFile, args)
  for (let status = 404; status === 404; ) {
    const { statusCode, body } = await client.call('GET', auditPath(third))
    await body.dump()
    status = statusCode
  }
  const refused = await client.call('DELETE', auditPath(third))
  assert.equal(refused.statusCode, 409)
  assert.match(await refused.body.text(), new RegExp(`in process ${child.pid}`))
  child.kill('SIGINT')
  const { code, stdout } = await ended
  assert.equal(code, 1, stdout)
  assert.match(stdout, /: aborted\n/)
  assert.equal(((await client.json('GET', auditPath(third))) as RemoteAudit).state, 'aborted')
})

storageTest(
  'xfs',
  'a server tells how far an audit is, ends it when it is told to stop, and the next one says so',
  async ({ mount }) => {
    await using lab = await openLab({ mountPoint: mount, extraConfig: EXTRA_CONFIG })
    const { client, server } = lab
    const { first, second } = await threeSnapshots(lab)
    // The second block is not read at once.
    const running = await audit(client, second, { compareTo: first.id, rate: 65_536 }, 2)
    assert.equal(running.state, 'running', running.verdict)
    assert.ok(running.blocks_read < running.blocks, running.verdict)
    assert.equal(await server.stop(), 0)
    await using next = await startServerAgain(lab)
    await using again = new ApiClient(next)
    await again.login()
    const { state, verdict } = (await again.json('GET', auditPath(second))) as RemoteAudit
    assert.equal(state, 'aborted')
    assert.match(verdict, /the program is being stopped/)
  },
)
