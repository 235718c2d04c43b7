/** The disk of the database is full: what writes is refused and changes nothing, what reads goes on. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { KeyvPinStore } from '../../api/auth/keyv-pin-store.ts'
import { Disk } from '../../conformance/guest/disk.ts'
import { MANAGER_PINS_NAMESPACE, openDatabase } from '../../core/store/database.ts'
import { acquireFlock } from '../../native/index.ts'
import {
  EXAMPLE_REPOSITORY_ID,
  EXAMPLE_VM_ID,
  layAgentDatabase,
  layRepository,
} from '../support/agent-repository.ts'
import { ApiClient } from '../support/api-client.ts'
import { callAnswer } from '../support/call-answer.ts'
import { fillUp } from '../support/fill-up.ts'
import { mountFilesystem } from '../support/loop-filesystem.ts'
import { startServer } from '../support/server.ts'
import { SILENT } from '../support/silent-log.ts'
import { snapshotFolders } from '../support/snapshot-folders.ts'
import { failsWith, MIB } from '../support/snapshot-test.ts'
import { storageTest } from '../support/storage-test.ts'
import { storageKind } from './matrix.ts'
import { eventually } from './silent-lab.ts'

const VM = {
  id: EXAMPLE_VM_ID,
  friendlyName: 'indexed',
  disks: [{ name: 'disk.img', deviceName: 'xvda', size: 2 * MIB }],
}
const SNAPSHOTS = `/api/v1/vms/${VM.id}/snapshots`
const FULL = '500 STORE_FAILED'
const PATIENCE_MS = 60_000
const SMALL = { sizeBytes: 4 * MIB }

storageTest(
  'xfs',
  'a full disk of the database refuses every change and changes nothing, and all goes on when it has space',
  async ({ mount, filesystem }) => {
    await using small = await mountFilesystem(storageKind('ext4'), SMALL)
    const directory = join(filesystem.image, '..')
    const agentDbDir = join(directory, 'agent-db')
    await layAgentDatabase(agentDbDir, [{ id: EXAMPLE_REPOSITORY_ID, alias: 'lab', mountPoint: mount }])
    const disk = new Disk((await layRepository(mount, [VM])).get('disk.img')!)
    const options = { directory, agentDbDir, dbFile: join(small.mountPoint, 'index.db') }
    let ids: string[] = []

    const changes = (client: ApiClient) => {
      const [leased, free, last] = ids
      const lease = (id: string | undefined, holder: string) =>
        callAnswer(client, 'PUT', `${SNAPSHOTS}/${id}/lease`, {
          body: `{"ttl": "1h", "holder": "${holder}"}`,
        })
      const audit = { body: `{"compareTo": "${leased}"}` }
      return {
        renew: () => lease(leased, 'chain'),
        take: () => lease(free, 'another'),
        release: () => callAnswer(client, 'DELETE', `${SNAPSHOTS}/${leased}/lease?holder=chain`),
        audit: () => callAnswer(client, 'POST', `${SNAPSHOTS}/${last}/audit`, audit),
        create: () => callAnswer(client, 'POST', SNAPSHOTS),
        delete: () => callAnswer(client, 'DELETE', `${SNAPSHOTS}/${free}?force=true`),
        purge: () => callAnswer(client, 'DELETE', `${SNAPSHOTS}?force=true`),
      }
    }
    const refusesChanges = async (client: ApiClient) => {
      for (const [what, change] of Object.entries(changes(client))) {
        assert.equal(await change(), FULL, what)
        assert.deepEqual(await snapshotFolders(mount), ids.toSorted(), what)
        assert.deepEqual((await client.vms())[0]!.snapshots, ids, what)
        if (what !== 'release') continue
        // Its record still has it: a snapshot is rather held for too long.
        assert.equal(await callAnswer(client, 'GET', `${SNAPSHOTS}/${ids[0]}/lease`), '200')
      }
      await client.snapshot(VM.id, ids[2]!, ids[0])
      assert.equal(await callAnswer(client, 'GET', '/readyz'), '200')
    }

    {
      await using server = await startServer(options)
      await using client = new ApiClient(server)
      await client.login()
      for (let seed = 1; seed <= 3; seed++) {
        await disk.fill(0, MIB, seed)
        ids = [...ids, (await client.createSnapshot(VM.id)).id]
      }
      assert.equal(await changes(client).renew(), '200')
    }
    const full = await fillUp(small.mountPoint)
    await using server = await startServer(options)
    await using client = new ApiClient(server)
    await client.login()
    await refusesChanges(client)
    await full[Symbol.asyncDispose]()
    const { renew, take, release, audit, create, delete: remove, purge } = changes(client)
    for (const change of [renew, take, release]) assert.equal(await change(), '200')
    assert.equal(await audit(), '202')
    await eventually(async () => {
      const { state } = (await client.json('GET', `${SNAPSHOTS}/${ids[2]}/audit`)) as { state: string }
      assert.equal(state, 'passed')
    }, PATIENCE_MS)
    for (const change of [create, remove]) assert.equal(await change(), '200')
    assert.deepEqual(await snapshotFolders(mount), [...(await client.vms())[0]!.snapshots].sort())
    assert.equal(await purge(), '200')
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)

storageTest(
  'ext4',
  'a database is not begun on a full disk, and the certificate of a manager not forgotten there',
  async ({ mount, filesystem }) => {
    const directory = join(filesystem.image, '..')
    const agentDbDir = join(directory, 'agent-db')
    await layAgentDatabase(agentDbDir, [])
    const options = { directory, agentDbDir, dbFile: join(mount, 'new.db') }
    const repair = { locks: { acquire: acquireFlock }, log: SILENT }
    const open = () => openDatabase(options.dbFile, () => undefined, repair)
    {
      await using _full = await fillUp(mount)
      await assert.rejects(open(), failsWith('STORE_FAILED', /ENOSPC.* the space on its filesystem/))
    }
    const database = await open()
    const pins = new KeyvPinStore(database.keyv(MANAGER_PINS_NAMESPACE))
    await pins.set('manager', 'the one that it shows')
    {
      await using _full = await fillUp(mount)
      await assert.rejects(pins.set('another', 'new'), failsWith('STORE_FAILED'))
      assert.equal(await pins.get('manager'), 'the one that it shows')
      await assert.rejects(
        startServer(options),
        /STORE_FAILED: .*could not remember whether it is new: SQLITE_FULL/,
      )
    }
    await pins.set('another', 'new')
    await database.close()
  },
  SMALL,
)
