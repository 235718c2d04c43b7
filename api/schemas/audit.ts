import { identifier } from './params.ts'

/** Bytes a second; see audit.rate in config/schema.ts. */
const SLOWEST = 65_536
const MOST_BLOCKS = 2 ** 41
const LARGEST_SEED = 2 ** 32 - 1

export const auditBody = {
  type: 'object',
  required: ['compareTo'],
  properties: {
    compareTo: identifier('Id of an older snapshot of the same VM: the difference from it is audited.'),
    sample: {
      type: 'integer',
      minimum: 1,
      maximum: MOST_BLOCKS,
      description: 'Read so many blocks of 4 KiB, or a few more, picked by chance. Left out: all.',
    },
    seed: {
      type: 'integer',
      minimum: 0,
      maximum: LARGEST_SEED,
      description: 'Picks the same blocks again. Left out: by chance.',
    },
    rate: {
      type: 'integer',
      minimum: SLOWEST,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Bytes a second at most; never more than audit.rate of the configuration.',
    },
  },
}

export interface AuditBody {
  readonly compareTo: string
  readonly sample?: number
  readonly seed?: number
  readonly rate?: number
}

const mismatch = {
  type: 'object',
  required: ['disk', 'path', 'start', 'length', 'told', 'backend'],
  additionalProperties: false,
  properties: {
    disk: { type: 'string' },
    path: { type: 'string', description: "The snapshot's file, on the host." },
    start: { type: 'integer', minimum: 0 },
    length: { type: 'integer', minimum: 1 },
    told: { type: 'string', enum: ['unchanged', 'zero'], description: 'What the difference said of it.' },
    backend: { type: 'string' },
  },
}

const count = { type: 'integer', minimum: 0 }
const countOrNull = { type: ['integer', 'null'], minimum: 0 }

export const auditSchema = {
  $id: 'Audit',
  type: 'object',
  required: [
    'vm_id',
    'snapshot_id',
    'compare_to',
    'state',
    'verdict',
    'reason',
    'started_at',
    'finished_at',
    'rate',
    'sample',
    'seed',
    'blocks',
    'blocks_to_read',
    'blocks_read',
    'unnoticed_bytes',
    'mismatch_bytes',
    'mismatches',
    'pid',
  ],
  additionalProperties: false,
  properties: {
    vm_id: { type: 'string' },
    snapshot_id: { type: 'string' },
    compare_to: { type: 'string', description: 'The older snapshot.' },
    state: {
      type: 'string',
      enum: ['running', 'passed', 'mismatch', 'aborted', 'snapshot-deleted', 'failed'],
    },
    verdict: { type: 'string', description: 'A sentence for people.' },
    reason: { type: ['string', 'null'], description: 'Why it ended before its time.' },
    started_at: { type: 'string', format: 'date-time' },
    finished_at: { type: ['string', 'null'], format: 'date-time' },
    rate: { ...count, description: 'Bytes a second at most, of both files together.' },
    sample: { ...countOrNull, description: 'How many blocks were asked for; null for all.' },
    seed: { ...countOrNull, description: 'Picks the same blocks again; null without a sample.' },
    blocks: { ...countOrNull, description: 'Blocks of 4 KiB that were not reported as data.' },
    blocks_to_read: countOrNull,
    blocks_read: count,
    unnoticed_bytes: {
      ...countOrNull,
      description: 'When it passed: with 95 % confidence at most so many bytes differ unnoticed.',
    },
    mismatch_bytes: { ...count, description: 'Bytes that differ and were not reported.' },
    mismatches: { type: 'array', items: mismatch, description: 'The first 16.' },
    pid: { ...count, description: 'The process that runs or ran it, on the host.' },
  },
}
