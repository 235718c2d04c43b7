import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { commandSync } from './command.ts'

export interface MountedHere {
  readonly source: string
  readonly mountPoint: string
}

function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}

export function isBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`)
}

/** What is mounted at or below a folder, in the order of mounting. */
export function mountsBelow(directory: string): readonly MountedHere[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' ').map(unescapeOctal))
    .map(([source = '', mountPoint = '']) => ({ source, mountPoint }))
    .filter(({ mountPoint }) => isBelow(mountPoint, directory))
}

/** Loop devices whose image lies below a folder. */
export function loopDevicesBelow(directory: string): readonly string[] {
  return commandSync('losetup', ['--list', '--noheadings', '--raw', '--output', 'NAME,BACK-FILE'])
    .split('\n')
    .map((line) => line.trim().split(' '))
    .filter(([, image]) => image !== undefined && isBelow(unescapeHex(image), directory))
    .map(([device]) => device!)
}

function unescapeHex(field: string): string {
  return field.replace(/\\x([0-9a-f]{2})/gi, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
}

/** `process 123 (node) has /mnt/x open`, for the message about a mount point that stays busy. */
export function whoUses(mountPoint: string): readonly string[] {
  const users: string[] = []
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const link of linksOf(pid)) {
      const target = readLink(link)
      if (target !== undefined && isBelow(target, mountPoint)) {
        users.push(`process ${pid} (${nameOf(pid)}) has ${target} open`)
      }
    }
  }
  return users
}

function linksOf(pid: string): readonly string[] {
  try {
    const descriptors = readdirSync(`/proc/${pid}/fd`).map((number) => `/proc/${pid}/fd/${number}`)
    return [`/proc/${pid}/cwd`, ...descriptors]
  } catch {
    // The process ended while we looked.
    return []
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return 'ended'
  }
}
