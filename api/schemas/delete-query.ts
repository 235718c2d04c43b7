import { BOOLEAN_SPELLINGS } from '../map-options.ts'

export const deleteQuery = {
  type: 'object',
  properties: {
    force: {
      type: 'string',
      enum: BOOLEAN_SPELLINGS,
      description: 'Delete what is leased, too. Default: false.',
    },
  },
}
