import { execFile } from 'node:child_process'
import { systemCode } from 'diskferry/core'
import { fiemapExtents } from 'diskferry/native'
import type { Region } from './regions.ts'

/** A range of a file and where its data lies, in bytes; null where the address does not stand for the data. */
export interface AddressedRange extends Region {
  readonly physicalStart: number | null
  readonly unwritten: boolean
}

export interface AddressList {
  readonly ranges: readonly AddressedRange[]
  /** Who said so. */
  readonly source: 'filefrag' | 'FIEMAP'
}

const LINE = /^\s*\d+:\s*(\d+)\.\.\s*(\d+):\s*(\d+)\.\.\s*\d+:\s*\d+:(?:\s*\d+:)?\s*(\S*)\s*$/
const HARMLESS = new Set(['', 'last', 'eof', 'merged', 'shared', 'unwritten'])

/**
 * Where the file's data lies, told by filefrag(8) of e2fsprogs, which shares no code with a backend; by FIEMAP itself
 * where that program is not installed. Undefined where the filesystem has no such map.
 */
export async function addressesOf(file: string): Promise<AddressList | undefined> {
  const text = await runFilefrag(file)
  if (text !== undefined) return { ranges: parseFilefrag(text), source: 'filefrag' }
  const ranges: AddressedRange[] = []
  try {
    for await (const batch of fiemapExtents(file)) ranges.push(...batch)
  } catch (error) {
    if (systemCode(error) === 'EOPNOTSUPP') return undefined
    throw error
  }
  return { ranges, source: 'FIEMAP' }
}

/** Undefined where the program is missing, or the filesystem answers neither FIEMAP nor FIBMAP. */
function runFilefrag(file: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 256 * 1024 * 1024 }
    execFile('filefrag', ['-v', '-s', '-b1', file], options, (error, stdout) => {
      resolve(error === null && stdout.includes('physical_offset') ? stdout : undefined)
    })
  })
}

/** `   0:        0..   40959:      98304..    139263:  40960:             shared` in bytes, both ends included. */
export function parseFilefrag(text: string): readonly AddressedRange[] {
  const ranges: AddressedRange[] = []
  for (const line of text.split('\n')) {
    const match = LINE.exec(line)
    if (match === null) continue
    const [start, last, physicalStart] = match.slice(1, 4).map(Number)
    const flags = match[4]!.split(',')
    ranges.push({
      start: start!,
      length: last! - start! + 1,
      physicalStart: flags.every((flag) => HARMLESS.has(flag)) ? physicalStart! : null,
      unwritten: flags.includes('unwritten'),
    })
  }
  return ranges
}
