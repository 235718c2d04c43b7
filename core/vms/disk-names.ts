import { basename } from 'node:path'
import type { VmDisk } from '../inventory.ts'

/** Kept beside the disks in a snapshot's folder. */
const RESERVED: ReadonlySet<string> = new Set([
  'snapshot.json',
  'snapshot.lease.json',
  '.snapshot.lease.json.new',
])

/**
 * The name of each disk in the API and in the snapshot's folder: its file's name; for a later disk whose file is
 * called the same, that with the device in front. A pure function of the list, so that it is the same in each
 * snapshot.
 */
export function diskNames(disks: readonly VmDisk[]): readonly string[] {
  const taken = new Set(RESERVED)
  return disks.map(({ path, deviceName }) => {
    const plain = basename(path) || deviceName
    let name = plain
    for (let count = 1; taken.has(name); count++) {
      name = count === 1 ? `${deviceName}-${plain}` : `${deviceName}-${count}-${plain}`
    }
    taken.add(name)
    return name
  })
}
