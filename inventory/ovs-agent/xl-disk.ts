import type { VmDisk } from '../../core/inventory.ts'
import { parseDiskDevice, parseDiskMode } from '../disk-attributes.ts'
import { type DiskProblem, makeVmDisk } from './make-vm-disk.ts'

const FORMATS = new Set(['raw', 'qcow', 'qcow2', 'qed', 'vhd'])
const POSITIONS = ['target', 'format', 'vdev', 'access'] as const

/** Parameters that say nothing of what the disk's bytes are or where they lie. */
const NAMED = new Set<string>([...POSITIONS, 'devtype', 'backendtype'])
const FLAGS = new Set(['cdrom', 'discard', 'no-discard', 'direct-io-safe', 'removable'])

/**
 * A disk in the syntax of xl-disk-configuration(5): `key=value` parameters, positional ones and flags, separated
 * by commas; `target=` takes the rest, commas and all. A `raw` image is scheme `file`, or `phy` below /dev; any
 * other format is its own scheme.
 */
export function parseXlDisk(entry: string): VmDisk | DiskProblem {
  const parameters = readParameters(entry)
  if ('problem' in parameters) return parameters
  const given = (name: string): string => parameters.get(name) ?? ''
  const device = parseDiskDevice(given('vdev'))
  const devtype = given('devtype')
  if (!['', 'disk', 'cdrom'].includes(devtype)) return { problem: 'its devtype is neither disk nor cdrom' }
  const cdrom = devtype === 'cdrom' || parameters.has('cdrom') || device?.cdrom === true
  const mode = parseDiskMode(given('access') || (cdrom ? 'ro' : 'rw'))
  const target = given('target')
  const path = target === '' || target.startsWith('/') ? target : `/dev/${target}`
  const image = given('format') || 'raw'
  if (!FORMATS.has(image))
    return { problem: `${JSON.stringify(image.slice(0, 64))} is no known image format` }
  const scheme = image !== 'raw' ? image : path.startsWith('/dev/') ? 'phy' : 'file'
  return makeVmDisk(scheme, path, device === undefined ? undefined : { ...device, cdrom }, mode)
}

function readParameters(entry: string): ReadonlyMap<string, string> | DiskProblem {
  const parameters = new Map<string, string>()
  let rest: string | undefined = entry
  while (rest !== undefined) {
    const text: string = rest.trimStart()
    const comma = text.startsWith('target=') ? -1 : text.indexOf(',')
    const parameter = comma === -1 ? text : text.slice(0, comma)
    rest = comma === -1 ? undefined : text.slice(comma + 1)
    const problem = addParameter(parameters, parameter)
    if (problem !== undefined) return problem
  }
  return parameters
}

function addParameter(parameters: Map<string, string>, parameter: string): DiskProblem | undefined {
  const equals = parameter.indexOf('=')
  if (equals === -1 && FLAGS.has(parameter)) {
    parameters.set(parameter, '')
    return undefined
  }
  const free = POSITIONS.find((position) => !parameters.has(position))
  const name = equals === -1 ? free : parameter.slice(0, equals)
  if (name === undefined || !NAMED.has(name)) {
    return { problem: `${JSON.stringify(parameter.slice(0, 64))} is not known as a part of a disk` }
  }
  if (parameters.has(name)) return { problem: `it has ${name} twice` }
  parameters.set(name, parameter.slice(equals + 1))
  return undefined
}
