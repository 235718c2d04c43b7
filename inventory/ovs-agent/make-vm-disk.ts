import type { VmDisk } from '../../core/inventory.ts'
import type { DiskDevice } from '../disk-attributes.ts'

/** Why a disk can't be told from its entry. */
export interface DiskProblem {
  readonly problem: string
}

/** Checks what every syntax has in common. */
export function makeVmDisk(
  scheme: string,
  path: string,
  device: DiskDevice | undefined,
  mode: string | undefined,
): VmDisk | DiskProblem {
  if (device === undefined) return { problem: 'its device is no device name such as xvda or xvdc:cdrom' }
  if (mode === undefined) return { problem: 'its mode is none of r, ro, w, rw and w!' }
  const emptyDrive = path === '' && device.cdrom
  if (path === '' && !emptyDrive) return { problem: 'it names no path, and only a CD-ROM drive may be empty' }
  if (scheme === 'file' && !emptyDrive && !path.startsWith('/'))
    return { problem: 'its path is not absolute' }
  return { scheme, path, ...device, mode }
}
