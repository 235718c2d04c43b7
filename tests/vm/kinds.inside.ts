import assert from 'node:assert/strict'
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { readMounts } from 'diskferry/native'
import { command } from '../support/command.ts'
import { MACHINE_KINDS, type MachineKindName } from './inside/kinds.ts'
import { machineTest } from './inside/machine-test.ts'

const SIZE = 4 * 1024 * 1024
const BLOCK = 4096
const SILENCE_MS = 1000

for (const kind of MACHINE_KINDS.filter(({ reflink }) => reflink)) {
  machineTest(
    kind,
    'a clone shares its blocks with the source, and not its fate',
    async ({ mount, filesystem }) => {
      await assertMounted(mount, kind.filesystem, kind.mountOptions)
      const bytes = Buffer.alloc(SIZE, 'diskferry')
      const [source, clone] = [join(mount, 'source'), join(mount, 'clone')]
      await writeFile(source, bytes, { flush: true })
      await command('cp', ['--reflink=always', source, clone])
      assert.match(await command('filefrag', ['-v', join(filesystem.serverDirectory, 'clone')]), /shared/)

      await overwriteFirstBlock(clone)
      assert.ok(bytes.equals(await readFile(source)), 'the source changed with its clone')
      bytes.fill(0, 0, BLOCK)
      assert.ok(bytes.equals(await readFile(clone)), 'the clone has not what was written to it')
    },
  )
}

for (const kind of MACHINE_KINDS.filter(({ reflink }) => !reflink)) {
  machineTest(kind, 'a file cannot be cloned', async ({ mount }) => {
    await assertMounted(mount, kind.filesystem, kind.mountOptions)
    const source = join(mount, 'source')
    await writeFile(source, Buffer.alloc(SIZE, 'diskferry'))
    await assert.rejects(
      command('cp', ['--reflink=always', source, join(mount, 'clone')]),
      /failed to clone .*: (Operation not supported|Invalid argument)/,
    )
  })
}

for (const name of ['nfs42', 'cifs'] satisfies MachineKindName[]) {
  machineTest(
    name,
    'a paused server keeps its clients waiting until it resumes',
    async ({ mount, filesystem }) => {
      const { server } = filesystem
      assert.ok(server)
      await server.pause()
      const written = writeFile(join(mount, 'file'), 'late', { flush: true })
      assert.equal(await Promise.race([written, delay(SILENCE_MS, 'silence')]), 'silence')
      await server.resume()
      await written
      assert.equal(await readFile(join(filesystem.serverDirectory, 'file'), 'utf8'), 'late')
    },
  )
}

async function assertMounted(mount: string, filesystem: string, options: readonly string[]): Promise<void> {
  const found = (await readMounts()).find(({ mountPoint }) => mountPoint === mount)
  assert.equal(found?.filesystem, filesystem)
  for (const option of options)
    assert.ok(found.options.includes(option), `${option} of ${found.options.join()}`)
}

async function overwriteFirstBlock(file: string): Promise<void> {
  await using handle = await open(file, 'r+')
  await handle.write(Buffer.alloc(BLOCK), 0, BLOCK, 0)
  await handle.sync()
}
