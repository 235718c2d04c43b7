import { BOOLEAN_SPELLINGS } from '../map-options.ts'
import { optionalIdentifier } from './params.ts'

/** Keys that are not here are ignored; one that is here may be given once. */
export const snapshotQuery = {
  type: 'object',
  properties: {
    squashChunks: {
      type: 'string',
      enum: BOOLEAN_SPELLINGS,
      description: 'Join adjacent chunks of the same kind. Default: true.',
    },
    compareTo: optionalIdentifier(
      'Id of an older snapshot of the same VM: only what changed since then is answered. Empty: none.',
    ),
    refine: {
      type: 'string',
      enum: BOOLEAN_SPELLINGS,
      description:
        'With compareTo: read the changed ranges of both snapshots and keep what really differs. Default: false.',
    },
  },
}
