const sentences = { type: 'array', items: { type: 'string' } }

export const repositorySchema = {
  $id: 'Repository',
  type: 'object',
  required: [
    'id',
    'alias',
    'mount_point',
    'filesystem',
    'source',
    'backend',
    'compatible',
    'reasons',
    'problems',
  ],
  additionalProperties: false,
  properties: {
    id: { type: 'string' },
    alias: { type: 'string' },
    mount_point: { type: 'string' },
    filesystem: { type: ['string', 'null'], description: 'null when nothing is mounted there.' },
    source: { type: ['string', 'null'], description: 'What is mounted: a device, an export.' },
    backend: { type: ['string', 'null'], description: 'The storage backend chosen for it.' },
    compatible: { type: 'boolean' },
    reasons: { ...sentences, description: 'Why it is not compatible.' },
    problems: { ...sentences, description: 'What could not be read in it.' },
  },
}

export const backendSchema = {
  $id: 'Backend',
  type: 'object',
  required: ['name', 'api_version', 'description', 'filesystems', 'difference'],
  additionalProperties: false,
  properties: {
    name: { type: 'string' },
    api_version: { type: 'integer' },
    description: { type: 'string' },
    filesystems: { type: 'array', items: { type: 'string' } },
    difference: { type: 'string', enum: ['physical', 'content'] },
  },
}
