/** How Xen writes the attributes of a disk; see xl-disk-configuration(5). */

export interface DiskDevice {
  readonly deviceName: string
  readonly cdrom: boolean
}

/** `xvda`, `xvdc:cdrom`, `ioemu:hda:disk`, `/dev/xvda`; undefined for anything that is no device name. */
export function parseDiskDevice(text: string): DiskDevice | undefined {
  const match = /^(?:ioemu:)?(?:\/dev\/)?([A-Za-z0-9][\w.-]{0,63})(?::(cdrom|disk))?$/.exec(text)
  return match?.[1] === undefined ? undefined : { deviceName: match[1], cdrom: match[2] === 'cdrom' }
}

const MODES: ReadonlyMap<string, string> = new Map([
  ['w', 'w'],
  ['rw', 'w'],
  ['w!', 'w!'],
  ['r', 'r'],
  ['ro', 'r'],
])

/** `w`, `w!` or `r` for each way of writing it; undefined for anything else. */
export function parseDiskMode(text: string): string | undefined {
  return MODES.get(text)
}
