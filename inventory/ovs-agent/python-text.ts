/**
 * The strings of Python 2, https://docs.python.org/2/reference/lexical_analysis.html#string-literals. A `str` is
 * bytes and is handled as a latin1 string, one character a byte, until `decodeUtf8`; a `unicode` is text.
 * Each function gives undefined for what Python refuses or what has no exact meaning as text.
 */

const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\n', ''],
  ['\\', '\\'],
  ["'", "'"],
  ['"', '"'],
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
])

const MAX_CODE_POINT = 0x10ffff

/** The bytes of a `str` literal's body, as latin1. An unknown escape stays as it is. */
export function unescapeBytes(body: string): string | undefined {
  return unescapeWith(body, /\\(x[\da-fA-F]{2}|[0-7]{1,3}|[\s\S])/g, (sequence) => {
    if (sequence === 'x') return undefined
    if (/^x/.test(sequence)) return String.fromCharCode(Number.parseInt(sequence.slice(1), 16))
    if (/^[0-7]/.test(sequence)) return String.fromCharCode(Number.parseInt(sequence, 8) & 0xff)
    return SIMPLE_ESCAPES.get(sequence) ?? `\\${sequence}`
  })
}

/** The text of a `unicode` literal's body. `\N{...}` is not known here. */
export function unescapeUnicode(body: string): string | undefined {
  const pattern = /\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[0-7]{1,3}|[\s\S])/gu
  return unescapeWith(body, pattern, (sequence) => {
    if (/^[xuU]./.test(sequence)) return codePoint(Number.parseInt(sequence.slice(1), 16))
    if (/^[xuUN]$/.test(sequence)) return undefined
    if (/^[0-7]/.test(sequence)) return String.fromCharCode(Number.parseInt(sequence, 8))
    return SIMPLE_ESCAPES.get(sequence) ?? `\\${sequence}`
  })
}

/** The text of a raw `unicode` literal's body: only `\u` and `\U` after an even number of backslashes count. */
export function unescapeRawUnicode(body: string): string | undefined {
  return unescapeWith(body, /\\(\\|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[\s\S])/gu, (sequence) => {
    if (/^[uU]./.test(sequence)) return codePoint(Number.parseInt(sequence.slice(1), 16))
    return /^[uU]$/.test(sequence) ? undefined : `\\${sequence}`
  })
}

/** @param bytes as latin1 */
export function decodeUtf8(bytes: string): string | undefined {
  const buffer = Buffer.from(bytes, 'latin1')
  const text = buffer.toString('utf8')
  return Buffer.from(text, 'utf8').equals(buffer) ? text : undefined
}

/** Text without half surrogate pairs, which no file name and no UTF-8 can hold. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}

function codePoint(value: number): string | undefined {
  return value > MAX_CODE_POINT ? undefined : String.fromCodePoint(value)
}

function unescapeWith(
  body: string,
  pattern: RegExp,
  replace: (sequence: string) => string | undefined,
): string | undefined {
  let malformed = /(?<!\\)(\\\\)*\\$/.test(body)
  const text = body.replace(pattern, (_, sequence: string) => {
    const replacement = replace(sequence)
    if (replacement === undefined) malformed = true
    return replacement ?? ''
  })
  return malformed ? undefined : text
}
