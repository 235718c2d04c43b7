import {
  decodeUtf8,
  isWellFormed,
  unescapeBytes,
  unescapeRawUnicode,
  unescapeUnicode,
} from './python-text.ts'
import type { PythonToken } from './python-tokens.ts'

export type PythonStringToken = PythonToken & { readonly kind: 'string' }

/**
 * The text of adjacent string literals. The bytes of a `str`, escapes such as `\xc3\xa9` included, are taken as
 * UTF-8, because that is what a path on disk is compared with. Undefined when malformed or not UTF-8.
 */
export function joinPythonStrings(parts: readonly PythonStringToken[]): string | undefined {
  let text = ''
  let bytes = ''
  for (const part of parts) {
    const source = part.unicode ? decodeUtf8(part.body) : part.body
    if (source === undefined) return undefined
    const value = unescapeLiteral(part, source)
    if (value === undefined) return undefined
    if (!part.unicode) {
      bytes += value
      continue
    }
    const before = decodeUtf8(bytes)
    if (before === undefined) return undefined
    text += before + value
    bytes = ''
  }
  const rest = decodeUtf8(bytes)
  return rest !== undefined && isWellFormed(text) ? text + rest : undefined
}

function unescapeLiteral(part: PythonStringToken, source: string): string | undefined {
  if (part.unicode) return part.raw ? unescapeRawUnicode(source) : unescapeUnicode(source)
  return part.raw ? source : unescapeBytes(source)
}
