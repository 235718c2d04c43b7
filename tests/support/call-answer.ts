import type { Dispatcher } from 'undici'
import type { ApiClient, CallOptions } from './api-client.ts'

/** What a client hears: `202`, or `507 REPOSITORY_FULL`. */
export async function callAnswer(
  client: ApiClient,
  method: Dispatcher.HttpMethod,
  path: string,
  options?: CallOptions,
): Promise<string> {
  const { statusCode, body } = await client.call(method, path, options)
  const text = await body.text()
  if (statusCode < 300) return String(statusCode)
  return `${statusCode} ${(JSON.parse(text) as { readonly code: string }).code}`
}
