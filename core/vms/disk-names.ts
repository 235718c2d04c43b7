import { basename } from 'node:path'
import type { VmDisk } from '../inventory.ts'

/** Kept beside the disks in a snapshot's folder. */
const RESERVED_NAMES: ReadonlySet<string> = new Set([
  'snapshot.json',
  'snapshot.lease.json',
  '.snapshot.lease.json.new',
  '.snapshot.json.new',
  '.snapshot.json.deleting',
  '.snapshot.json.adopting',
])
/** Begins the name of each mark of a pair that an audit found wrong. */
export const MARK_PREFIX = 'snapshot.distrusted.'

const MOST_NAME_BYTES = 255
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in it
const NOT_IN_NAMES = /[/\x00-\x1f\x7f]/

export function isReservedName(name: string): boolean {
  return RESERVED_NAMES.has(name) || name.startsWith(MARK_PREFIX)
}

/** Can it be the name of a disk's file in a snapshot's folder, and of nothing outside it? */
export function isDiskName(name: unknown): name is string {
  return (
    typeof name === 'string' &&
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    Buffer.byteLength(name) <= MOST_NAME_BYTES &&
    !NOT_IN_NAMES.test(name) &&
    !isReservedName(name)
  )
}

/**
 * The name of each disk in the API and in the snapshot's folder: its file's name; for a later disk whose file is
 * called the same, that with the device in front. A pure function of the list, so that it is the same in each
 * snapshot.
 */
export function diskNames(disks: readonly VmDisk[]): readonly string[] {
  const taken = new Set<string>()
  return disks.map(({ path, deviceName }) => {
    const plain = basename(path) || deviceName
    let name = plain
    for (let count = 1; isReservedName(name) || taken.has(name); count++) {
      name = count === 1 ? `${deviceName}-${plain}` : `${deviceName}-${count}-${plain}`
    }
    taken.add(name)
    return name
  })
}
