import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { consistencyOf, type SnapshotConsistency } from '../consistency/consistency.ts'
import { isDiskName } from '../vms/disk-names.ts'
import { isBirthTime } from './recorded-file.ts'

/** What a `snapshot.json` says, checked. It names no path that anybody goes to. */
export interface Manifest extends Partial<SnapshotConsistency> {
  readonly vmId: string
  readonly id: string
  readonly createdAt: string
  readonly vmUuid: string
  readonly vmFriendlyName: string
  readonly disks: readonly ManifestDisk[]
}

export interface ManifestDisk {
  readonly name: string
  /** Only ever shown. */
  readonly parentPath: string
  readonly repositoryId: string
  readonly size: number
  readonly backend: string
  readonly inode?: number
  readonly birthTimeNs?: string
  readonly extents?: number
  readonly cloneMs?: number
}

/** That of a VM with 256 disks has 200 KiB. */
const MOST_BYTES = 4 * 1024 * 1024
const MOST_DISKS = 1024
const MOST_SHOWN = 4096
/** A FIFO must not be waited for, and a link leads to a place that nobody checked. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** As draftSnapshot writes it; the year leaves room for what is later. */
const CREATED_AT = /^[0-8]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in it
const CONTROL = /[\x00-\x1f\x7f]/
const CONTROLS = new RegExp(CONTROL, 'g')

/**
 * Reads a manifest of the folder of the snapshot `id`. Whoever can write to the repository may have written it, so
 * nothing in it is believed before it is checked, and no path in it is kept but for showing it.
 *
 * @throws an Error that says what is wrong with it, or the system's error
 */
export async function readManifest(file: string, id: string): Promise<Manifest> {
  return checkManifest(parse(await readText(file)), id)
}

/** @throws an Error that says what is wrong with it, as the end of a sentence */
export function checkManifest(value: Readonly<Record<string, unknown>>, id: string): Manifest {
  const manifest = value as unknown as Manifest
  must(value['version'] === 1, 'has a version that is not known')
  must(manifest.id === id, 'names another snapshot than its folder')
  must(isWord(manifest.vmId, 255), 'has no usable vmId')
  must(isTime(manifest.createdAt), 'has no usable createdAt')
  must(Array.isArray(manifest.disks), 'has no disks')
  must(manifest.disks.length > 0 && manifest.disks.length <= MOST_DISKS, 'has no usable number of disks')
  const disks = manifest.disks.map(checkDisk)
  must(new Set(disks.map(({ name }) => name)).size === disks.length, 'names a disk twice')
  const { vmId, createdAt } = manifest
  const vmUuid = shown(manifest.vmUuid, 'vmUuid')
  const vmFriendlyName = shown(manifest.vmFriendlyName, 'vmFriendlyName')
  const reason = manifest.consistencyReason ?? null
  const consistencyReason = reason === null ? null : shown(reason, 'consistencyReason')
  // Manifests of before it was told have none.
  const consistency =
    manifest.consistency === undefined ? {} : consistencyOf({ ...manifest, consistencyReason })
  return { vmId, id, createdAt, vmUuid, vmFriendlyName, ...consistency, disks }
}

function checkDisk(disk: ManifestDisk): ManifestDisk {
  must(typeof disk === 'object' && disk !== null, 'has a disk that is none')
  const { name, parentPath, repositoryId, size, backend, inode, birthTimeNs, extents, cloneMs } = disk
  must(isDiskName(name), 'has a disk without a usable name')
  const of = `of disk ${JSON.stringify(name)}`
  must(Number.isSafeInteger(size) && size >= 0, `has no usable size ${of}`)
  must(isWord(repositoryId, 255), `has no usable repositoryId ${of}`)
  must(isWord(backend, 255), `has no usable backend ${of}`)
  const numbers = { inode, extents, cloneMs }
  for (const [key, value] of Object.entries(numbers)) must(isCount(value), `has no usable ${key} ${of}`)
  must(birthTimeNs === undefined || isBirthTime(birthTimeNs), `has no usable birthTimeNs ${of}`)
  const born = birthTimeNs === undefined ? {} : { birthTimeNs }
  const path = shown(parentPath, `parentPath ${of}`)
  return { name, parentPath: path, repositoryId, size, backend, ...known(numbers), ...born }
}

async function readText(file: string): Promise<string> {
  await using handle = await open(file, FLAGS)
  const status = await handle.stat()
  must(status.isFile(), 'is not a regular file')
  must(status.size <= MOST_BYTES, `has ${status.size} bytes, which is too much`)
  const bytes = Buffer.alloc(status.size)
  let length = 0
  while (length < bytes.length) {
    // Where the disk fails half-way the first read is a short one, and only the next one says so.
    const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return bytes.toString('utf8', 0, length)
}

function parse(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Error('is not JSON, or only a part of it', { cause: error })
  }
  must(typeof value === 'object' && value !== null && !Array.isArray(value), 'is not a JSON object')
  return value as Readonly<Record<string, unknown>>
}

function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise)
}

function isCount(value: unknown): boolean {
  return value === undefined || (typeof value === 'number' && Number.isFinite(value) && value >= 0)
}

/** Without the keys that have no value. */
function known<Numbers extends object>(numbers: Numbers): { [Key in keyof Numbers]?: number } {
  return Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined)) as never
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && CREATED_AT.test(value) && !Number.isNaN(Date.parse(value))
}

/**
 * A text that nothing is found by. The guest's owner chooses the VM's names, and a hook what it writes: whatever is in
 * them, it must not cost the snapshot.
 */
function shown(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new Error(`has no usable ${what}`)
  return value.slice(0, MOST_SHOWN).replace(CONTROLS, ' ')
}

function isText(value: unknown, most: number): boolean {
  return typeof value === 'string' && value.length <= most && !CONTROL.test(value)
}

function isWord(value: unknown, most: number): boolean {
  return isText(value, most) && value !== ''
}
