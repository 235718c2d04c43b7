/** The longest identifier or disk name, in characters: what a file name may have on Linux, in bytes. */
const MAX_LENGTH = 255

/** Any text that could be the name of something; what is unknown is not found, what is malformed is refused. */
export function identifier(description: string) {
  return { type: 'string', minLength: 1, maxLength: MAX_LENGTH, pattern: '^\\P{Cc}+$', description }
}

/** The same, or empty for none. */
export function optionalIdentifier(description: string) {
  return { type: 'string', maxLength: MAX_LENGTH, pattern: '^\\P{Cc}*$', description }
}

const vm = identifier("The VM's id: its `name`.")
const snapshot = identifier("The snapshot's id.")
const disk = identifier("The disk's name in the snapshot.")

export const vmParams = { type: 'object', required: ['vm'], properties: { vm } }

export const snapshotParams = {
  type: 'object',
  required: ['vm', 'snapshot'],
  properties: { vm, snapshot },
}

export const diskParams = {
  type: 'object',
  required: ['vm', 'snapshot', 'disk'],
  properties: { vm, snapshot, disk },
}

export interface VmParams {
  readonly vm: string
}

export interface SnapshotParams extends VmParams {
  readonly snapshot: string
}

export interface DiskParams extends SnapshotParams {
  readonly disk: string
}
