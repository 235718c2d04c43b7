import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiClient } from '../support/api-client.ts'
import { makeDisk } from '../support/core.ts'
import { type HookProgram, hookProgram } from '../support/hook-program.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { snapshotFolders } from '../support/snapshot-folders.ts'
import { storageTest } from '../support/storage-test.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { REFLINK_STORAGE } from './matrix.ts'

const VM = 'vm-1'
const MIB = 1024 * 1024

interface AnsweredSnapshot {
  readonly id: string
  readonly consistency: string
  readonly consistency_reason: string | null
  readonly stall_ms: number
  readonly skew_ms: number
}

function configuration(
  mount: string,
  disks: readonly string[],
  before: HookProgram,
  after: HookProgram,
): string {
  const text = JSON.stringify
  const lines = disks.map((path, index) => `{ path = ${text(path)}, device_name = "xvd${'ab'[index]}" }`)
  return `[quiesce]
before = ${text([before.path, '{vm}', '{name}'])}
after = ${text([after.path, '{uuid}'])}

[[static.repositories]]
id = "r1"
mount_point = ${text(mount)}

[[static.vms]]
name = "${VM}"
uuid = "7b1ea2c4-5b0f-4f6e-9d53-0d7c3a1f2e10"
friendly_name = "Web \\"server\\" $(id)"
disks = [${lines.join(', ')}]
`
}

for (const kind of REFLINK_STORAGE) {
  storageTest(
    kind,
    'a server brings the guest to rest, and lets it go on when a client vanishes and when it was killed itself',
    async ({ mount }) => {
      await using folder = await temporaryDirectory('quiesce')
      const disks = [
        await makeDisk(mount, 'one.img', 4 * MIB, [[0, Buffer.alloc(MIB, 1)]]),
        await makeDisk(mount, 'two.img', 4 * MIB, [[0, Buffer.alloc(MIB, 2)]]),
      ]
      const hang = join(folder.path, 'hang')
      const before = await hookProgram(
        folder.path,
        'before',
        `if [ -e '${hang}' ]; then echo $$ >> "$0.calls"; sleep 600; fi`,
      )
      const after = await hookProgram(folder.path, 'after', '')
      const directory = join(folder.path, 'server')
      const options = { directory, extraConfig: configuration(mount, disks, before, after) }
      const first = await startServer(options)
      await using client = new ApiClient(first)
      await client.login()

      const made = (await client.json('POST', `/api/v1/vms/${VM}/snapshots`)) as AnsweredSnapshot
      assert.equal(made.consistency, 'quiesced')
      assert.ok(made.skew_ms > 0 && made.skew_ms <= made.stall_ms, JSON.stringify(made))
      assert.deepEqual(await before.calls(), ['<vm-1><Web "server" $(id)>'])
      assert.deepEqual(await after.calls(), ['<7b1ea2c4-5b0f-4f6e-9d53-0d7c3a1f2e10>'])
      const file = join(mount, 'CoriolisSnapshots', made.id, 'snapshot.json')
      const { consistency, stallMs, skewMs } = JSON.parse(await readFile(file, 'utf8'))
      assert.deepEqual([consistency, stallMs, skewMs], ['quiesced', made.stall_ms, made.skew_ms])

      await writeFile(hang, '')
      const gone = new ApiClient(first)
      await gone.login()
      const vanishing = gone.call('POST', `/api/v1/vms/${VM}/snapshots`).catch(() => undefined)
      await before.called(3)
      await gone.destroy()
      await vanishing
      await after.called(2)

      const killed = client.call('POST', `/api/v1/vms/${VM}/snapshots`).catch(() => undefined)
      await before.called(5)
      await first.kill()
      // As systemd does with all that a service has started.
      process.kill(-Number((await before.calls()).at(-1)), 'SIGKILL')
      await killed
      assert.equal((await after.calls()).length, 2)
      await rm(hang)
      await using second = await startServer(options)
      await after.called(3)
      await using again = new ApiClient(second)
      await again.login()
      assert.deepEqual((await again.vms())[0]?.snapshots, [made.id])
      assert.ok(existsSync(file))
    },
  )
}

/** A server in the middle of `after`, which goes on until `wake` is called. */
async function whileAfterRuns(
  mount: string,
  shutdownGrace: string,
  body: (bench: {
    readonly server: TestServer
    readonly after: HookProgram
    readonly wake: () => Promise<void>
    readonly answer: Promise<number | undefined>
    readonly restart: () => Promise<TestServer>
  }) => Promise<void>,
): Promise<void> {
  await using folder = await temporaryDirectory('quiesce-stop')
  const disk = await makeDisk(mount, 'one.img', 4 * MIB, [[0, Buffer.alloc(MIB, 1)]])
  const go = join(folder.path, 'go')
  const before = await hookProgram(folder.path, 'before', '')
  const after = await hookProgram(
    folder.path,
    'after',
    `while [ -e "$0" ] && ! [ -e '${go}' ]; do sleep 0.1; done; echo awake >> "$0.calls"`,
  )
  const options = {
    directory: join(folder.path, 'server'),
    extraConfig: configuration(mount, [disk], before, after),
    shutdownGrace,
  }
  const server = await startServer(options)
  const client = new ApiClient(server)
  try {
    await client.login()
    const answer = client.call('POST', `/api/v1/vms/${VM}/snapshots`).then(
      ({ statusCode, body }) => body.dump().then(() => statusCode),
      () => undefined,
    )
    await after.called(1)
    await body({ server, after, wake: () => writeFile(go, ''), answer, restart: () => startServer(options) })
  } finally {
    await client.destroy()
    await server.kill()
  }
}

async function snapshotIds(server: TestServer): Promise<readonly string[]> {
  await using client = new ApiClient(server)
  await client.login()
  return (await client.vms())[0]!.snapshots
}

storageTest(
  'xfs',
  'a server that is told to stop lets `after` finish, and the snapshot is answered',
  async ({ mount }) => {
    await whileAfterRuns(mount, '30s', async ({ server, after, wake, answer, restart }) => {
      const stopped = server.stop()
      await server.logged(({ msg }) => msg === 'stopping: running requests may finish')
      await wake()
      assert.equal(await stopped, 0)
      assert.equal(await answer, 200)
      assert.equal((await after.calls()).at(-1), 'awake')
      await using next = await restart()
      assert.equal((await snapshotIds(next)).length, 1)
      assert.equal((await after.calls()).length, 2)
    })
  },
)

storageTest(
  'xfs',
  'a server whose grace period is over waits for `after`, and the snapshot is whole or gone',
  async ({ mount }) => {
    await whileAfterRuns(mount, '100ms', async ({ server, after, wake, answer, restart }) => {
      const stopped = server.stop()
      assert.equal(await answer, undefined)
      await server.logged(({ msg }) => msg === 'stopped')
      await wake()
      assert.equal(await stopped, 0)
      assert.equal((await after.calls()).at(-1), 'awake')
      await using next = await restart()
      assert.deepEqual(await snapshotIds(next), await snapshotFolders(mount))
    })
  },
)
