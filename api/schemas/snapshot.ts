const chunk = {
  type: 'object',
  required: ['start', 'length', 'physical_start'],
  additionalProperties: false,
  properties: {
    start: { type: 'integer', minimum: 0 },
    length: { type: 'integer', minimum: 1 },
    physical_start: { type: 'integer', minimum: 0, description: '0 where unknown or where `zero`.' },
    zero: {
      type: 'boolean',
      enum: [true],
      description: 'Only where the range now reads as zeros: it need not be fetched.',
    },
  },
}

const diff = {
  type: 'object',
  description: 'Only with compareTo, and only when the older snapshot has this disk.',
  required: ['method', 'fallback_reason', 'changed_bytes', 'zero_bytes'],
  additionalProperties: false,
  properties: {
    method: { type: 'string', enum: ['physical', 'content'] },
    fallback_reason: {
      type: ['string', 'null'],
      description: 'Why content was read where addresses would have been the normal way.',
    },
    changed_bytes: { type: 'integer', minimum: 0 },
    zero_bytes: { type: 'integer', minimum: 0 },
  },
}

const disk = {
  type: 'object',
  required: [
    'parent_path',
    'path',
    'snapshot_id',
    'snapshotID',
    'chunks',
    'name',
    'repo_mountpoint',
    'size',
    'backend',
  ],
  additionalProperties: false,
  properties: {
    parent_path: { type: 'string', description: 'The disk that was cloned, on the host.' },
    path: { type: 'string', description: 'The clone, on the host.' },
    snapshot_id: { type: 'string' },
    snapshotID: { type: 'string', description: 'The same as `snapshot_id`.' },
    chunks: { type: 'array', items: chunk, description: 'Ascending, not overlapping.' },
    name: { type: 'string' },
    repo_mountpoint: { type: 'string' },
    size: { type: 'integer', minimum: 0 },
    backend: { type: 'string' },
    diff,
    damage: { type: 'string', description: 'Only of a damaged disk: why it cannot be served.' },
  },
}

const milliseconds = { type: ['number', 'null'], minimum: 0 }

const consistency = {
  consistency: {
    type: 'string',
    enum: ['crash', 'quiesced'],
    description: 'As after a power cut, or with the guest brought to rest.',
  },
  consistency_reason: {
    type: ['string', 'null'],
    description: 'Why it is not quiesced although the host has hooks for that.',
  },
  stall_ms: { ...milliseconds, description: 'From the call of the first clone to the return of the last.' },
  skew_ms: { ...milliseconds, description: 'The moments of no two disks lie further apart.' },
  stall_forecast_ms: {
    ...milliseconds,
    description: 'What `stall_ms` was expected to be, if anybody asked.',
  },
}

export const snapshotSchema = {
  $id: 'Snapshot',
  type: 'object',
  required: ['id', 'vm_id', 'vmID', 'created_at', 'state', ...Object.keys(consistency), 'lease', 'disks'],
  additionalProperties: false,
  properties: {
    id: { type: 'string' },
    vm_id: { type: 'string' },
    vmID: { type: 'string', description: 'The same as `vm_id`.' },
    created_at: { type: 'string', format: 'date-time' },
    state: { type: 'string', enum: ['ready', 'damaged'], description: '`damaged` only in a list.' },
    damage: { type: 'string', description: 'Only of a damaged snapshot: why it cannot be served.' },
    ...consistency,
    lease: { anyOf: [{ $ref: 'Lease#' }, { type: 'null' }], description: 'null when nobody holds one.' },
    disks: { type: 'array', items: disk },
  },
}
