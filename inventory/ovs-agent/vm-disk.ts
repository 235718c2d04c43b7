import type { VmDisk } from '../../core/inventory.ts'
import { parseDiskDevice, parseDiskMode } from '../disk-attributes.ts'
import { type DiskProblem, makeVmDisk } from './make-vm-disk.ts'
import { parseXlDisk } from './xl-disk.ts'

/**
 * One entry of `disk` in vm.cfg: `scheme:path,device,mode`, where the path may have commas and colons; an empty
 * drive, `,xvdd:cdrom,r`; or the syntax of xl-disk-configuration(5).
 */
export function parseVmDisk(entry: string): VmDisk | DiskProblem {
  if (entry.includes('\0')) return { problem: 'it has a NUL character' }
  const scheme = /^\s*([A-Za-z][\w+.-]*):/.exec(entry)
  const emptyDrive = /^\s*,[^,]*:cdrom,[^,]*$/.test(entry)
  if (scheme === null && !emptyDrive) return parseXlDisk(entry)
  const fields = entry.slice(scheme?.[0].length ?? 0).split(',')
  if (fields.length < 3) return { problem: 'it is not of the form scheme:path,device,mode' }
  const mode = parseDiskMode(fields.pop()!.trim())
  const device = parseDiskDevice(fields.pop()!.trim())
  return makeVmDisk(scheme?.[1] ?? 'file', fields.join(','), device, mode)
}
