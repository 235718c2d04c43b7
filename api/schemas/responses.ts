import { ERROR_CODES } from '../../core/errors.ts'

export const errorSchema = {
  $id: 'Error',
  type: 'object',
  description: 'Every answer that is not a success.',
  required: ['error', 'details', 'code'],
  additionalProperties: false,
  properties: {
    error: { type: 'string', description: 'Short, by the status.' },
    details: { type: 'string', description: 'What happened and what to do.' },
    code: { type: 'string', enum: ERROR_CODES, description: 'A stable word for programs.' },
  },
}

/** Spread into the responses of every route. */
export const errorResponses = {
  '4xx': { $ref: 'Error#', description: 'Refused' },
  '5xx': { $ref: 'Error#', description: 'Failed' },
}

/** A success that has nothing to say. */
export function emptyResponse(description: string) {
  return { type: 'null', description }
}

/** `{"status": <word>}` */
export function statusResponse(word: string) {
  return {
    type: 'object',
    required: ['status'],
    additionalProperties: false,
    properties: { status: { type: 'string', enum: [word] } },
  }
}
