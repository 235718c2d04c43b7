/** Nanoseconds in each unit of Go's time.ParseDuration; both micro signs, U+00B5 and U+03BC, are accepted. */
const UNITS: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['\u00b5s', 1_000n],
  ['\u03bcs', 1_000n],
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
])

/** The longest duration that Go can hold: an int64 of nanoseconds, about 292 years. */
const MAX_NANOSECONDS = 2n ** 63n - 1n

/** Digits beyond these are far below a nanosecond; the bound keeps hostile input cheap. */
const MAX_LENGTH = 64

/**
 * Reads a duration as Go writes them, `168h`, `1h30m`, `1.5h`, `300ms`, `0`, and returns milliseconds (with a
 * fraction below one). Undefined for anything else: negative ones and those beyond 292 years included.
 * Source: https://pkg.go.dev/time#ParseDuration
 */
export function parseGoDuration(text: string): number | undefined {
  if (text.length > MAX_LENGTH) return undefined
  const unsigned = text.startsWith('+') ? text.slice(1) : text
  if (unsigned === '0') return 0
  if (unsigned === '') return undefined
  let total = 0n
  let rest = unsigned
  while (rest !== '') {
    const match = /^(\d*)(?:\.(\d*))?([^\d.]+)/.exec(rest)
    if (match === null) return undefined
    const [whole, integer = '', fraction = '', unitName = ''] = match
    const unit = UNITS.get(unitName)
    if (unit === undefined || integer + fraction === '') return undefined
    total += BigInt(integer || '0') * unit + (BigInt(fraction || '0') * unit) / 10n ** BigInt(fraction.length)
    if (total > MAX_NANOSECONDS) return undefined
    rest = rest.slice(whole.length)
  }
  return Number(total) / 1e6
}
