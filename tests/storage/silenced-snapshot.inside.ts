import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { machineTest } from '../vm/inside/machine-test.ts'
import {
  type Answer,
  ask,
  assertOnly,
  BOUND_S,
  eventually,
  layMachine,
  RECOVERY_MS,
  REFUSED,
  type SilentLab,
  silentLab,
} from './silent-lab.ts'

const MIB = 1024 * 1024

const TRIAL = '.diskferry-trial-'
/** What is seen on the server's side when the snapshot is so far: its folder, the clone without its name, the clone. */
const MOMENTS = [/^[0-9a-f-]{36}$/, /\/\.clone-/, /\/disk-1\.img$/]

machineTest(
  'nfs42',
  'a snapshot that is being made when the server falls silent is gone when it answers again',
  async ({ mount, filesystem, t }) => {
    await using lab = await silentLab([mount])
    const { client, server } = lab
    const { vm } = await layMachine(mount, '1', 4 * MIB)
    const { id: kept } = await client.createSnapshot(vm.id)
    const folder = join(filesystem.serverDirectory, 'CoriolisSnapshots')
    for (const moment of MOMENTS) {
      const { creating, seen } = await caughtAt(moment, lab, vm.id, folder, kept)
      await filesystem.server!.pause()
      const { status, code, seconds, text } = await creating
      t.diagnostic(`paused at '${seen}': ${status} ${code ?? ''} after ${seconds.toFixed(1)} s`)
      assert.ok(status === 200 || code === REFUSED, text)
      assert.ok(seconds < BOUND_S)
      await filesystem.server!.resume()
      const ids = [kept]
      if (status === 200) ids.push((JSON.parse(text) as { readonly id: string }).id)
      await eventually(() => assertOnly(folder, ids), RECOVERY_MS)
      await eventually(async () => {
        const [listed] = await client.vms()
        assert.deepEqual([...listed!.snapshots].sort(), ids.sort())
        assert.ok(listed!.snapshot_compatible)
      }, RECOVERY_MS)
      for (const id of ids.filter((one) => one !== kept)) await client.deleteSnapshot(vm.id, id)
    }
    assert.ok(server.logs.some(({ msg }) => msg === 'the files of an unfinished snapshot were removed'))
  },
)

const ATTEMPTS = 20

/** Creates a snapshot until it is seen at a moment: on a busy machine it may be over before anybody looked. */
async function caughtAt(
  moment: RegExp,
  { client }: SilentLab,
  vmId: string,
  folder: string,
  kept: string,
): Promise<{ readonly creating: Promise<Answer>; readonly seen: string }> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const over = new AbortController()
    const creating = ask(client, 'POST', `/api/v1/vms/${vmId}/snapshots`).finally(() => over.abort())
    const seen = await appearing(folder, kept, moment, over.signal)
    if (seen !== undefined) return { creating, seen }
    const { status, text } = await creating
    assert.equal(status, 200, text)
    await client.deleteSnapshot(vmId, (JSON.parse(text) as { readonly id: string }).id)
  }
  return assert.fail(`in ${ATTEMPTS} snapshots nothing was seen that matches ${moment}`)
}

/**
 * The first path in a folder that matches, but for those of a snapshot, and of the check of the mount before; undefined when
 * it is over.
 */
async function appearing(
  folder: string,
  known: string,
  pattern: RegExp,
  over: AbortSignal,
): Promise<string | undefined> {
  while (!over.aborted) {
    const paths = await readdir(folder, { recursive: true }).catch(() => [])
    const found = paths.find(
      (path) => !path.startsWith(known) && !path.startsWith(TRIAL) && pattern.test(path),
    )
    if (found !== undefined) return found
    await delay(1)
  }
  return undefined
}
