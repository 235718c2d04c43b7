/** `{"status": <word>}` */
export function statusResponse(word: string) {
  return {
    type: 'object',
    required: ['status'],
    additionalProperties: false,
    properties: { status: { type: 'string', enum: [word] } },
  }
}
