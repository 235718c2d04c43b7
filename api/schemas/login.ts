export const loginBody = {
  type: 'object',
  required: ['username', 'password'],
  properties: { username: { type: 'string' }, password: { type: 'string' } },
}

export const loginResponse = {
  type: 'object',
  required: ['token'],
  additionalProperties: false,
  properties: { token: { type: 'string', description: 'For the header Authorization: Bearer <token>.' } },
}

export interface LoginBody {
  readonly username: string
  readonly password: string
}
