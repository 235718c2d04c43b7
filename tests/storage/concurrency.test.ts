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
import { BusyClient, type Ledger } from '../support/busy-client.ts'
import { MemoryWatch } from '../support/memory-watch.ts'
import { Random } from '../support/random.ts'
import { databaseFile, startServer } from '../support/server.ts'
import { snapshotFolders } from '../support/snapshot-folders.ts'
import { storageTest } from '../support/storage-test.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const { CONCURRENCY_SECONDS = '60' } = process.env
const SECONDS = Number(CONCURRENCY_SECONDS)
const CLIENTS = 50
const VMS = 10
const DISK_BYTES = 4 * 1024 * 1024

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
    await Promise.all([apiOne.login(), apiTwo.login()])

    const ledger: Ledger = { created: new Map(), deleted: new Set() }
    const clients = Array.from({ length: CLIENTS }, (_, index) => {
      const api = index % 2 === 0 ? apiOne : apiTwo
      return new BusyClient({ api, vms, mount, ledger, random: new Random(index + 1) })
    })
    const memory = [new MemoryWatch(one.pid), new MemoryWatch(two.pid)]
    const end = performance.now() + SECONDS * 1000
    await Promise.all(
      clients.map(async (client) => {
        while (performance.now() < end) {
          signal.throwIfAborted()
          await client.step()
          for (const watch of memory) watch.sample()
        }
      }),
    )

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

    const counts = Object.entries(BusyClient.sum(clients)).map(([what, count]) => `${what} ${count}`)
    t.diagnostic(`${ledger.created.size} snapshots made; ${counts.join(', ')}`)
    for (const [index, watch] of memory.entries()) {
      t.diagnostic(`server ${index + 1}: ${watch.report()}`)
      assert.equal(watch.growth(), undefined)
    }
  },
  { sizeBytes: 4 * 1024 ** 3, timeoutMs: (SECONDS * 3 + 120) * 1000 },
)

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
