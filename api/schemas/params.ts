import { identifier } from './identifier.ts'

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
