import { DiskferryError } from '../../core/errors.ts'
import type { VirtualMachine, VmDisk } from '../../core/inventory.ts'
import { type PythonAssignment, parsePythonAssignments } from './python-assignments.ts'
import { parseVmDisk } from './vm-disk.ts'

const NEEDED: ReadonlySet<string> = new Set(['name', 'uuid', 'disk', 'OVM_simple_name'])

/** Characters. */
const MAX_NAME_LENGTH = 255

/**
 * Reads a vm.cfg. Only what Diskferry needs must be understood; everything else in the file may be anything.
 * @param path for errors
 * @throws VM_CONFIG_INVALID naming the path and the line, rather than a machine that lacks a disk
 */
export function parseVmConfig(bytes: Buffer, path: string): VirtualMachine {
  const { values, conflict } = parsePythonAssignments(bytes, NEEDED)
  if (conflict !== undefined) throw invalid(path, conflict.line, conflict.reason)
  const name = text(path, values, 'name')
  if (name === undefined) throw new DiskferryError('VM_CONFIG_INVALID', `${path} has no line that sets name`)
  if (!isVmName(name)) {
    const rule = `1 to ${MAX_NAME_LENGTH} characters without / and control characters`
    throw invalid(path, values.get('name')!.line, `name ${JSON.stringify(name.slice(0, 64))} is not ${rule}`)
  }
  return {
    name,
    uuid: text(path, values, 'uuid') ?? '',
    friendlyName: text(path, values, 'OVM_simple_name') ?? name,
    disks: disks(path, values.get('disk')),
  }
}

/** Whether a name can be a VM's id in URLs and in messages. */
function isVmName(name: string): boolean {
  return name.length > 0 && name.length <= MAX_NAME_LENGTH && !/[/\p{Cc}]|^\.{1,2}$/u.test(name)
}

function text(path: string, values: ReadonlyMap<string, PythonAssignment>, key: string): string | undefined {
  const assignment = values.get(key)
  if (assignment === undefined) return undefined
  if (assignment.value.type !== 'string') throw invalid(path, assignment.line, `${key} is not a string`)
  return assignment.value.text
}

function disks(path: string, assignment: PythonAssignment | undefined): VmDisk[] {
  if (assignment === undefined) return []
  const { value, line } = assignment
  if (value.type !== 'list' && value.type !== 'tuple') throw invalid(path, line, 'disk is not a list')
  return value.items.map((item, index) => {
    const entry = item.type === 'string' ? item.text : undefined
    if (entry === undefined) throw invalid(path, line, `disk entry ${index + 1} is not a string`)
    const disk = parseVmDisk(entry)
    if (!('problem' in disk)) return disk
    const shown = JSON.stringify(entry.slice(0, 256))
    throw invalid(path, line, `disk entry ${index + 1}, ${shown}, can't be used: ${disk.problem}`)
  })
}

function invalid(path: string, line: number, what: string): DiskferryError {
  return new DiskferryError('VM_CONFIG_INVALID', `${path}, line ${line}: ${what}`)
}
