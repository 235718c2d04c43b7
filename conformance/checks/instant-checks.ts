import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { Check } from '../check.ts'
import type { CheckContext } from '../check-context.ts'
import { inBackground } from '../guest/background.ts'
import type { Disk } from '../guest/disk.ts'

const BLOCK = 4096
const FRAGMENTS = 400
const WATCHED_CLONES = 5
const WRITTEN_BLOCKS = 64
const CLONES_DURING_WRITES = 5

export const instantChecks: readonly Check[] = [
  { name: 'a reader sees the target whole or not at all, never a part of it', run: checkWholeOrAbsent },
  { name: 'a clone taken while the source is being written holds one instant of it', run: checkOneInstant },
]

/** Reads the target as soon as there is one, and compares it with what it must be. */
const WATCHER = `
  const { closeSync, fstatSync, openSync, readFileSync, readSync } = require('node:fs')
  const expected = readFileSync(data.source)
  send('watching')
  for (const target of data.targets) {
    let seen
    while (!ended()) {
      let file
      try {
        file = openSync(target, 'r')
      } catch (error) {
        if (error.code === 'ENOENT') continue
        seen = 'it could not be opened: ' + error.message
        break
      }
      const { size } = fstatSync(file)
      const bytes = Buffer.alloc(size)
      const read = readSync(file, bytes, 0, size, 0)
      closeSync(file)
      if (size !== expected.length) seen = 'it was seen with ' + size + ' of ' + expected.length + ' bytes'
      else if (read !== size || !bytes.equals(expected)) seen = 'it was seen with bytes that are not the source\\'s'
      else seen = ''
      break
    }
    send(seen)
  }
`

async function checkWholeOrAbsent(context: CheckContext): Promise<void> {
  const disk = await context.fragmentedDisk(FRAGMENTS)
  const names = Array.from({ length: WATCHED_CLONES }, (_, index) => `clone-${index}`)
  const targets = names.map((name) => context.path(name))
  await using watcher = inBackground<string>(WATCHER, { source: disk.path, targets })
  await watcher.next()
  for (const name of names) {
    const clone = await context.clone(disk, name)
    const seen = await watcher.next()
    assert.equal(seen, '', `while '${clone.path}' was being made, ${seen}`)
  }
}

/** Writes one block after the other, round after round, each full of its round's number. */
const WRITER = `
  const { closeSync, openSync, writeSync } = require('node:fs')
  const file = openSync(data.path, 'r+')
  const block = Buffer.alloc(data.block)
  for (let round = 1; !ended(); round++) {
    block.fill(0)
    for (let at = 0; at < data.block; at += 4) block.writeUInt32LE(round, at)
    for (let index = 0; index < data.blocks; index++) writeSync(file, block, 0, data.block, index * data.block)
    if (round === 2) send('writing')
  }
  closeSync(file)
`

async function checkOneInstant(context: CheckContext): Promise<void> {
  const disk = await context.disk(WRITTEN_BLOCKS * BLOCK)
  const data = { path: disk.path, block: BLOCK, blocks: WRITTEN_BLOCKS }
  await using writer = inBackground<string>(WRITER, data)
  await writer.next()
  for (let index = 0; index < CLONES_DURING_WRITES; index++) {
    const clone = await context.clone(disk, `clone-${index}`)
    checkRounds(await readFile(clone.path), clone)
  }
}

/** The writer had come to some block in some round: those before it are of that round, the others of the last. */
function checkRounds(bytes: Buffer, { path }: Disk): void {
  const rounds: number[] = []
  for (let at = 0; at < bytes.length; at += BLOCK) {
    const [first, last] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + BLOCK - 4)]
    assert.equal(first, last, `block ${at / BLOCK} of '${path}' is half of one write and half of another`)
    rounds.push(first)
  }
  const mixed = rounds.findIndex((round, index) => index > 0 && round > rounds[index - 1]!)
  assert.equal(
    mixed,
    -1,
    `'${path}' mixes moments: block ${mixed} is of a later round than the one before it`,
  )
  const [first, last] = [rounds[0]!, rounds.at(-1)!]
  assert.ok(
    first - last <= 1,
    `'${path}' mixes moments: its first block is of round ${first}, its last of ${last}`,
  )
}
