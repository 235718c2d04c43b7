/**
 * The number that an incremental export is made for: of a disk of 8 GiB with 1 % of its 4 KiB blocks changed, at
 * most 1.1 times the changed bytes may come over the wire. The suite takes 2 GiB to save time; `npm run
 * bench:incremental` sets `RATIO_DISK_GIB=8`.
 */

import assert from 'node:assert/strict'
import { EXAMPLE_VM_ID } from '../support/agent-repository.ts'
import { fetchChunks } from '../support/ancestor-client.ts'
import { openLab } from '../support/lab.ts'
import { Random } from '../support/random.ts'
import { StampedDisk } from '../support/stamped-disk.ts'
import { storageTest } from '../support/storage-test.ts'

const GIB = 1024 ** 3
const { RATIO_DISK_GIB = '2' } = process.env
const DISK_BYTES = Number(RATIO_DISK_GIB) * GIB
const CHANGED_FRACTION = 0.01
const MAX_RATIO = 1.1

storageTest(
  'xfs',
  `of ${RATIO_DISK_GIB} GiB with 1 % changed, an incremental pull fetches at most 1.1 times what changed`,
  async ({ filesystem, signal, t }) => {
    await using lab = await openLab(filesystem)
    const disk = { name: 'large.img', deviceName: 'xvda', size: DISK_BYTES }
    const vm = { id: EXAMPLE_VM_ID, friendlyName: 'large', disks: [disk] }
    const content = new StampedDisk((await lab.addVm(vm)).get(disk.name)!, DISK_BYTES)

    const fill = await seconds(() => content.fill(signal))
    const first = await lab.client.createSnapshot(vm.id)
    const changed = await content.rewrite(CHANGED_FRACTION, new Random(2), signal)
    const second = await lab.client.createSnapshot(vm.id)

    const started = performance.now()
    const compared = await lab.client.snapshot(vm.id, second.id, first.id, 'True')
    const [changedDisk] = compared.disks
    const answered = (performance.now() - started) / 1000
    let wrong = 0
    const { fetchedBytes, requests } = await fetchChunks(lab.client, compared, changedDisk!, 'new', {
      write: async (piece, position) => {
        if (!piece.equals(content.expected(position, piece.length))) wrong += 1
      },
    })
    const pulled = (performance.now() - started) / 1000

    t.diagnostic(
      `disk of ${DISK_BYTES} bytes written in ${fill.toFixed(1)} s, ${changed} bytes changed in 4 KiB blocks`,
    )
    t.diagnostic(
      `incremental pull: ${fetchedBytes} bytes in ${requests} chunks (${(fetchedBytes / changed).toFixed(4)} times), ` +
        `difference after ${answered.toFixed(1)} s, all bytes after ${pulled.toFixed(1)} s`,
    )
    assert.equal(wrong, 0, 'every fetched piece holds what was written')
    assert.deepEqual(content.missedBy(changedDisk!.chunks), [], 'every changed block is in a chunk')
    assert.ok(fetchedBytes <= MAX_RATIO * changed, `${fetchedBytes} bytes fetched for ${changed} changed`)
  },
  { sizeBytes: DISK_BYTES + 4 * GIB, timeoutMs: 600_000 },
)

async function seconds(work: () => Promise<void>): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}
