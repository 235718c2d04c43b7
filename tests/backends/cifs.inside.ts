import assert from 'node:assert/strict'
import { type FileHandle, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import createBackend from '../../backends/cifs/index.ts'
import { fallocate } from '../../native/fallocate.ts'
import { readMounts } from '../../native/mountinfo.ts'
import { Random } from '../support/random.ts'
import { machineTest } from '../vm/inside/machine-test.ts'

const BLOCK = 4096
const MIB = 1024 * 1024
/** More than one of the server's answers holds, close to each other. */
const BLOCKS = 1500
const WITHIN_BLOCKS = 6000
/** Some intervals of one second without an echo, and as much again on a machine that is slow. */
const SILENCE_LIMIT_MS = 60_000

const backend = createBackend()

interface Region {
  readonly start: number
  readonly length: number
}

/** Neighbours joined. */
async function mapOf(file: string): Promise<Region[]> {
  const found: { start: number; length: number }[] = []
  for await (const batch of backend.extentMap(file)) {
    for (const { start, length } of batch) {
      const last = found.at(-1)
      if (last !== undefined && last.start + last.length === start) last.length += length
      else found.push({ start, length })
    }
  }
  return found
}

function regionsOf(blocks: ReadonlySet<number>): Region[] {
  const found: { start: number; length: number }[] = []
  for (const block of [...blocks].sort((left, right) => left - right)) {
    const last = found.at(-1)
    if (last !== undefined && last.start + last.length === block * BLOCK) last.length += BLOCK
    else found.push({ start: block * BLOCK, length: BLOCK })
  }
  return found
}

/** What the file holds as soon as there is one. */
async function firstSeen(file: string, signal: AbortSignal): Promise<Buffer> {
  for (;;) {
    signal.throwIfAborted()
    try {
      return await readFile(file)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}

async function writeBlock(handle: FileHandle, block: number, value: number): Promise<void> {
  await handle.write(Buffer.alloc(BLOCK, value), 0, BLOCK, block * BLOCK)
}

machineTest(
  'cifs',
  'the map is what was written a moment before, however many ranges that are, and no more',
  async ({ mount }) => {
    const random = new Random(1)
    const disk = join(mount, 'disk')
    await using handle = await open(disk, 'wx')
    await handle.truncate(1024 * MIB)
    const blocks = new Set([0, 262_143])
    while (blocks.size < BLOCKS) blocks.add(1000 + random.between(0, WITHIN_BLOCKS))
    for (const block of blocks) await writeBlock(handle, block, 1 + (block % 255))
    assert.ok(regionsOf(blocks).length > 1024, 'one answer of the server would hold them all')
    assert.deepEqual(await mapOf(disk), regionsOf(blocks))

    for (const block of [...blocks].filter((candidate) => candidate % 10 === 0)) {
      await fallocate(handle, disk, 'punch-hole', block * BLOCK, BLOCK)
      blocks.delete(block)
    }
    for (const block of [100_000, 100_002]) {
      await writeBlock(handle, block, 1)
      blocks.add(block)
    }
    await backend.clone(disk, join(mount, 'clone'))
    for (const block of [200_000, 200_001]) await writeBlock(handle, block, 1)
    assert.deepEqual(await mapOf(join(mount, 'clone')), regionsOf(blocks))
    assert.deepEqual(await mapOf(disk), regionsOf(new Set([...blocks, 200_000, 200_001])))
  },
)

machineTest('cifs', 'a clone has a sparse map although its source never had one', async ({ mount }) => {
  const disk = join(mount, 'disk')
  {
    await using handle = await open(disk, 'wx')
    // Written behind its end and never made longer: the client does not tell the server that it is sparse.
    for (const block of [0, 500, 1000]) await writeBlock(handle, block, 1)
  }
  assert.deepEqual(await mapOf(disk), [{ start: 0, length: 1001 * BLOCK }])
  await backend.clone(disk, join(mount, 'clone'))
  assert.deepEqual(await mapOf(join(mount, 'clone')), regionsOf(new Set([0, 500, 1000])))
})

machineTest(
  'cifs',
  'whoever opens a clone by its name while it is made finds nothing yet, or all of it',
  async ({ mount, signal }) => {
    const disk = join(mount, 'disk')
    const bytes = Buffer.alloc(MIB, 1)
    await writeFile(disk, bytes)
    for (let index = 0; index < 5; index++) {
      const clone = join(mount, `clone-${index}`)
      const [seen] = await Promise.all([firstSeen(clone, signal), backend.clone(disk, clone)])
      assert.ok(seen.equals(bytes))
    }
    assert.equal((await readdir(mount)).length, 6)
  },
)

machineTest(
  'cifs',
  'a name that another client took a moment before is left alone',
  async ({ mount, filesystem }) => {
    const [disk, target] = [join(mount, 'disk'), join(mount, 'target')]
    await writeFile(disk, 'disk')
    // This client knows now that there is nothing, and may believe it for a second.
    await assert.rejects(readFile(target), { code: 'ENOENT' })
    await writeFile(join(filesystem.serverDirectory, 'target'), 'other')
    await assert.rejects(backend.clone(disk, target), { code: 'EEXIST' })
    assert.equal(await readFile(target, 'utf8'), 'other')
    assert.deepEqual((await readdir(mount)).sort(), ['disk', 'target'])
  },
)

machineTest(
  'cifs-ext4',
  'a share without duplicate-extents is refused, and the reason says so',
  async ({ mount }) => {
    const found = (await readMounts()).find(({ mountPoint }) => mountPoint === mount)!
    const report = await backend.checkCompatibility({ mount: found, trialDirectory: mount })
    assert.equal(report.compatible, false)
    assert.match(
      report.reasons.join(),
      /^the SMB server does not offer duplicate-extents for this share: .*btrfs/,
    )
    assert.deepEqual(await readdir(mount), ['lost+found'])
  },
)

machineTest(
  'cifs',
  'a server that stops answering ends a clone and a map with an error, and is used again when it answers',
  async ({ mount, filesystem }) => {
    const { server } = filesystem
    assert.ok(server)
    const disk = join(mount, 'disk')
    await writeFile(disk, Buffer.alloc(MIB, 1), { flush: true })
    await backend.clone(disk, join(mount, 'clone'))
    await server.pause()
    const asked = [backend.clone(disk, join(mount, 'late')), mapOf(join(mount, 'clone'))]
    const limit = new AbortController()
    const outcomes = await Promise.race([
      Promise.allSettled(asked),
      delay(SILENCE_LIMIT_MS, undefined, { signal: limit.signal }),
    ])
    limit.abort()
    await server.resume()
    assert.ok(outcomes, 'they still wait')
    for (const outcome of outcomes) {
      assert.equal(outcome.status, 'rejected')
      assert.match(outcome.reason.code, /^(EAGAIN|EHOSTDOWN|EIO|ETIMEDOUT)$/)
    }
    assert.ok(!(await readdir(mount)).includes('late'))
    await backend.clone(disk, join(mount, 'later'))
    assert.ok((await readFile(join(mount, 'later'))).equals(Buffer.alloc(MIB, 1)))
  },
  { mountOptions: ['echo_interval=1'] },
)
