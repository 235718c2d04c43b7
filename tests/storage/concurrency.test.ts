/**
 * Many clients, two servers, one database: nothing is lost, doubled or left over. `CONCURRENCY_SECONDS` sets how long
 * they go on.
 */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import {
  type AgentVm,
  EXAMPLE_REPOSITORY_ID,
  layAgentDatabase,
  layRepository,
} from '../support/agent-repository.ts'
import { ApiClient } from '../support/api-client.ts'
import { BusyClient, type Ledger, OPERATIONS } from '../support/busy-client.ts'
import { command } from '../support/command.ts'
import { MemoryWatch } from '../support/memory-watch.ts'
import { openFiles, openFilesAgain } from '../support/open-files.ts'
import { Random } from '../support/random.ts'
import { databaseFile, startServer } from '../support/server.ts'
import { snapshotFolders } from '../support/snapshot-folders.ts'
import { storageTest } from '../support/storage-test.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const { CONCURRENCY_SECONDS = '60' } = process.env
const SECONDS = Number(CONCURRENCY_SECONDS)
const CLIENTS = 50
const VMS = 10
/** Each operation is done so often, however long that takes. */
const LEAST = 50
const MIB = 1024 * 1024
const DISK_BYTES = 4 * MIB
/** Of what is in use after a collection of garbage: compiled code and its caches. */
const MOST_GROWTH_BYTES = 16 * MIB

storageTest(
  'xfs',
  `${CLIENTS} clients on two servers over one database, for ${SECONDS} s, lose, double and leave nothing`,
  async ({ mount, signal, t }) => {
    await using directory = await temporaryDirectory('concurrency')
    const agentDbDir = join(directory.path, 'agent-db')
    await layAgentDatabase(agentDbDir, [{ id: EXAMPLE_REPOSITORY_ID, alias: 'busy', mountPoint: mount }])
    const vms = Array.from({ length: VMS }, (_, index) => vm(index))
    await layRepository(mount, vms)
    const first = join(directory.path, 'first')
    await using one = await startServer({ directory: first, agentDbDir })
    const second = { directory: join(directory.path, 'second'), dbFile: databaseFile(first), agentDbDir }
    await using two = await startServer(second)
    await using apiOne = new ApiClient(one)
    await using apiTwo = new ApiClient(two)
    const apis = [apiOne, apiTwo]
    const servers = [one, two]
    for (const api of apis) await api.login()
    for (const api of apis) await api.vms()
    await Promise.all(apis.map((api) => api.disconnect()))
    const open = await Promise.all(servers.map(({ pid }) => openFiles(pid)))

    const ledger: Ledger = { created: new Map(), deleted: new Set() }
    const clients = Array.from({ length: CLIENTS }, (_, index) => {
      const api = index % 2 === 0 ? apiOne : apiTwo
      return new BusyClient({ api, vms, mount, ledger, random: new Random(index + 1) })
    })
    const memory = servers.map(({ pid }) => new MemoryWatch(pid))
    /** Until the time is over, and each operation was done so often: a machine that is busy otherwise takes longer for it. */
    const load = async (seconds: number, least: number) => {
      const enough = () => {
        const counts = BusyClient.sum(clients)
        return OPERATIONS.every((operation) => counts[operation] >= least)
      }
      const end = performance.now() + seconds * 1000
      await Promise.all(
        clients.map(async (client) => {
          while (performance.now() < end || !enough()) {
            signal.throwIfAborted()
            await client.step()
            for (const watch of memory) watch.sample()
          }
        }),
      )
    }
    const inUse = () => Promise.all(servers.map((server) => server.memoryInUse()))
    await load(SECONDS / 3, LEAST / 2)
    const before = await inUse()
    await load((SECONDS * 2) / 3, LEAST)
    const after = await inUse()
    for (const [index, bytes] of after.entries()) {
      const growth = bytes - before[index]!
      t.diagnostic(`server ${index + 1}: ${before[index]} bytes in use, ${growth} more in the end`)
      assert.ok(growth <= MOST_GROWTH_BYTES, `the memory of server ${index + 1} grew by ${growth} bytes`)
    }

    const left = [...ledger.created].filter(([id]) => !ledger.deleted.has(id))
    for (const { id } of vms) {
      const known = await apiTwo.json('GET', `/api/v1/vms/${id}/snapshots`)
      const listed = known as { readonly id: string; readonly created_at: string }[]
      const expected = left.filter(([, vmId]) => vmId === id).map(([snapshot]) => snapshot)
      assert.deepEqual(listed.map((one) => one.id).sort(), expected.sort(), `the snapshots of ${id}`)
      const times = listed.map(({ created_at }) => created_at)
      assert.deepEqual(times, [...new Set(times)].sort(), 'each is later than the one before')
    }
    assert.deepEqual(await snapshotFolders(mount), left.map(([id]) => id).sort())
    for (const { id } of vms) await apiOne.json('DELETE', `/api/v1/vms/${id}/snapshots`)
    assert.deepEqual(await snapshotFolders(mount), [])

    const told = Object.entries(BusyClient.sum(clients)).map(([what, count]) => `${what} ${count}`)
    t.diagnostic(`${ledger.created.size} snapshots made; ${told.join(', ')}`)
    assert.equal(await integrity(databaseFile(first)), 'ok')
    await Promise.all(apis.map((api) => api.disconnect()))
    for (const [index, { pid, logs }] of servers.entries()) {
      assert.deepEqual(
        await openFilesAgain(pid, open[index]!),
        open[index],
        `what server ${index + 1} has open`,
      )
      assert.deepEqual(
        logs.filter(({ level }) => level === 'error' || level === 'fatal'),
        [],
      )
    }
    for (const [index, watch] of memory.entries()) {
      t.diagnostic(`server ${index + 1}: ${watch.report()}`)
      assert.equal(watch.growth(), undefined)
    }
  },
  { sizeBytes: 4 * 1024 ** 3, timeoutMs: (SECONDS * 3 + 120) * 1000 },
)

/** By another program's SQLite. */
async function integrity(database: string): Promise<string> {
  const script =
    'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("PRAGMA integrity_check").fetchone()[0])'
  return (await command('python3', ['-c', script, database])).trim()
}

function vm(index: number): AgentVm {
  return {
    id: (index + 1).toString(16).padStart(32, '0'),
    friendlyName: `busy ${index}`,
    disks: [
      { name: `system-${index}.img`, deviceName: 'xvda', size: DISK_BYTES },
      { name: `data-${index}.img`, deviceName: 'xvdb', size: DISK_BYTES },
    ],
  }
}
