import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChangedRange, DiffMethod, Extent, StorageBackend } from 'diskferry/core'
import { declaredReason } from './features.ts'
import { Disk } from './guest/disk.ts'
import { shareEveryOtherBlock, writeEveryOtherBlock } from './guest/fragments.ts'
import type { Settings } from './options.ts'
import { judgeDifference } from './oracle/judge-difference.ts'
import { judgeMap } from './oracle/judge-map.ts'
import type { Region } from './oracle/regions.ts'
import type { Suite } from './suite.ts'

export interface Difference {
  readonly method: DiffMethod
  readonly fallbackReason: string | undefined
  readonly ranges: readonly ChangedRange[]
}

/** What a check works with: the backend, a folder of its own, and judges for what comes back. */
export class CheckContext {
  readonly suite: Suite
  /** Empty at the start, removed at the end; on the filesystem under test. */
  readonly folder: string
  /** Aborted when the check's time is over, or the whole run. */
  readonly signal: AbortSignal
  readonly notes: string[] = []
  differingBytes = 0
  reportedBytes = 0

  constructor(suite: Suite, folder: string, signal: AbortSignal) {
    this.suite = suite
    this.folder = folder
    this.signal = signal
  }

  get backend(): StorageBackend {
    return this.suite.backend
  }

  get settings(): Settings {
    return this.suite.settings
  }

  get physical(): boolean {
    return this.backend.manifest.difference === 'physical'
  }

  note(sentence: string): void {
    this.notes.push(sentence)
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  /** A new disk in the check's folder, all of it a hole. */
  disk(size = 0, name = 'disk.img'): Promise<Disk> {
    return Disk.create(this.path(name), size)
  }

  /** A new disk of which every byte is written. */
  async fullDisk(size: number, name = 'disk.img', generation = 1): Promise<Disk> {
    const disk = await this.disk(0, name)
    await disk.fill(0, size, generation)
    return disk
  }

  /**
   * A disk of so many extents, a block of 4 KiB each, with holes of the same size between them. Where a difference is found
   * by content, most of them share their blocks: there it does not matter where they lie, and each write takes a round trip.
   */
  async fragmentedDisk(extents: number): Promise<Disk> {
    const disk = await this.disk()
    if (this.physical || declaredReason(this.backend.manifest, 'clone-range') !== undefined) {
      await writeEveryOtherBlock(disk.path, extents, this.signal)
      return disk
    }
    await disk.makeSparse()
    await shareEveryOtherBlock(disk, extents, this.signal)
    return disk
  }

  async clone(source: Disk | string, name: string): Promise<Disk> {
    const target = this.path(name)
    await this.backend.clone(typeof source === 'string' ? source : source.path, target, this.signal)
    return new Disk(target)
  }

  async map(file: Disk, backend = this.backend): Promise<readonly Extent[]> {
    const extents: Extent[] = []
    for await (const batch of backend.extentMap(file.path, this.signal)) extents.push(...batch)
    return extents
  }

  async difference(base: Disk, target: Disk, backend = this.backend): Promise<Difference> {
    const { method, fallbackReason, ranges } = await backend.diff(base.path, target.path, {}, this.signal)
    const found: ChangedRange[] = []
    for await (const batch of ranges) found.push(...batch)
    return { method, fallbackReason, ranges: found }
  }

  /** Reads the map and judges it by the file's bytes. */
  async checkMap(file: Disk, regions?: readonly Region[]): Promise<readonly Extent[]> {
    const extents = await this.map(file)
    const problem = await judgeMap(file.path, extents, regions, this.signal)
    if (problem !== undefined) assert.fail(`extentMap('${file.path}'): ${problem}`)
    return extents
  }

  /** Computes the difference and judges it by the bytes of both files. */
  async checkDifference(
    base: Disk,
    target: Disk,
    regions?: readonly Region[],
    backend = this.backend,
  ): Promise<Difference> {
    const difference = await this.difference(base, target, backend)
    const verdict = await judgeDifference(base.path, target.path, difference.ranges, regions, this.signal)
    this.differingBytes += verdict.differingBytes
    this.reportedBytes += verdict.reportedBytes
    if (verdict.problem !== undefined) {
      assert.fail(
        `diff('${base.path}', '${target.path}') by ${difference.method}: ${verdict.problem}; it gave ${shown(difference.ranges)}`,
      )
    }
    return difference
  }

  /** Both maps, and the difference in both directions: what one change adds, the way back takes away. */
  async checkPair(base: Disk, target: Disk): Promise<Difference> {
    await this.checkMap(base)
    await this.checkMap(target)
    await this.checkDifference(target, base)
    return this.checkDifference(base, target)
  }

  /**
   * The names in the check's folder, in order. Not those that an NFS client gives to files that are removed while they
   * are open: they go with the descriptor, and descriptors are counted.
   */
  async listing(): Promise<readonly string[]> {
    return (await readdir(this.folder)).filter((name) => !name.startsWith('.nfs')).sort()
  }
}

const MOST_SHOWN = 8

function shown(ranges: readonly ChangedRange[]): string {
  if (ranges.length === 0) return 'no ranges'
  const first = ranges.slice(0, MOST_SHOWN).map(({ start, length, kind }) => `${kind} ${start}+${length}`)
  const rest = ranges.length - first.length
  return `${first.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}
