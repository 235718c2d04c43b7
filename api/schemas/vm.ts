const vmDisk = {
  type: 'object',
  required: [
    'name',
    'path',
    'device_name',
    'snapshot_compatible',
    'mode',
    'size',
    'backend',
    'incompatible_reason',
  ],
  additionalProperties: false,
  properties: {
    name: { type: 'string' },
    path: { type: 'string', description: 'On the host.' },
    device_name: { type: 'string' },
    snapshot_compatible: { type: 'boolean' },
    mode: { type: 'string', description: '`w`, `w!` or `r`.' },
    size: { type: ['integer', 'null'], description: 'Bytes; null when there is no such file.' },
    backend: { type: ['string', 'null'], description: 'The storage backend of its repository.' },
    incompatible_reason: {
      type: ['string', 'null'],
      description: 'Why it cannot, or need not, be cloned; null when it can.',
    },
  },
}

export const vmSchema = {
  $id: 'Vm',
  type: 'object',
  required: ['friendly_name', 'name', 'uuid', 'disks', 'snapshot_compatible', 'snapshots'],
  additionalProperties: false,
  properties: {
    friendly_name: { type: 'string' },
    name: { type: 'string', description: "The VM's id." },
    uuid: { type: 'string' },
    disks: { type: 'array', items: vmDisk },
    snapshot_compatible: { type: 'boolean' },
    snapshots: { type: 'array', items: { type: 'string' }, description: 'Ids, oldest first.' },
  },
}
