/** Characters; converting longer ones takes more than linear time. */
const MAX_LENGTH = 64

/** The value of a Python 2 number, exact for integers; undefined for complex and malformed ones. */
export function parsePythonNumber(text: string, sign: 1n | -1n): number | bigint | undefined {
  if (text.length > MAX_LENGTH) return undefined
  if (/^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && !/^\d+$/.test(text)) return Number(sign) * Number(text)
  const digits = integerDigits(text.replace(/l$/i, ''))
  if (digits === undefined) return undefined
  const value = sign * BigInt(digits)
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}

/** As BigInt takes them. `0` alone in front means octal. */
function integerDigits(text: string): string | undefined {
  if (/^(0x[\da-f]+|0o[0-7]+|0b[01]+|[1-9]\d*|0)$/i.test(text)) return text
  return /^0[0-7]+$/.test(text) ? `0o${text}` : undefined
}
