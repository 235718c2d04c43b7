/** Bytes of a disk: `length` is more than 0 and the range ends within the disk. */
export interface ByteRange {
  readonly start: number
  readonly length: number
}

export type RangeSelection =
  | { readonly satisfiable: true; readonly ranges: readonly ByteRange[] }
  | { readonly satisfiable: false; readonly reason: string }

/** More ranges in one request than a client that copies disks has use for. */
export const MAX_RANGES = 256

const UNIT = /^bytes=/i
const FIRST_LAST = /^(\d+)-(\d*)$/
const SUFFIX = /^-(\d+)$/

function refused(reason: string): RangeSelection {
  return { satisfiable: false, reason }
}

/**
 * The elements of a list, RFC 9110 section 5.6.1: white space around the commas, empty elements are ignored.
 * White space before the first element or after the last one belongs to no comma and stays, to be refused.
 */
function listElements(text: string): readonly string[] {
  const parts = text.split(',')
  return parts
    .map((part, index) => {
      const head = index === 0 ? part : part.replace(/^[\t ]+/, '')
      return index === parts.length - 1 ? head : head.replace(/[\t ]+$/, '')
    })
    .filter((part) => part !== '')
}

/** BigInt, because digits beyond 2^53 are legal: a last position there is cut, a first one is not satisfiable. */
function resolve(spec: string, size: bigint): ByteRange | 'unsatisfiable' | 'malformed' {
  const suffix = SUFFIX.exec(spec)
  if (suffix !== null) {
    const wanted = BigInt(suffix[1]!)
    const length = wanted < size ? wanted : size
    return length === 0n ? 'unsatisfiable' : { start: Number(size - length), length: Number(length) }
  }
  const match = FIRST_LAST.exec(spec)
  if (match === null) return 'malformed'
  const first = BigInt(match[1]!)
  const last = match[2] === '' ? undefined : BigInt(match[2]!)
  if (last !== undefined && last < first) return 'malformed'
  if (first >= size) return 'unsatisfiable'
  const end = last === undefined || last >= size ? size : last + 1n
  return { start: Number(first), length: Number(end - first) }
}

/**
 * Which bytes a Range header asks for: the satisfiable ones of its ranges, in its order. RFC 9110 lets a server
 * ignore a malformed header and send everything; that would cost a client a whole disk, so it is refused.
 *
 * @param size of the disk, bytes
 */
export function selectByteRanges(header: string, size: number): RangeSelection {
  if (!UNIT.test(header)) return refused('The only range unit is bytes: Range: bytes=first-last.')
  const specs = listElements(header.replace(UNIT, ''))
  if (specs.length === 0) return refused('The Range header names no range.')
  if (specs.length > MAX_RANGES) {
    return refused(`The Range header names ${specs.length} ranges; at most ${MAX_RANGES} are served at once.`)
  }
  const ranges: ByteRange[] = []
  let total = 0
  for (const spec of specs) {
    const range = resolve(spec, BigInt(size))
    if (range === 'malformed') {
      return refused(
        `The range ${JSON.stringify(spec.slice(0, 64))} is none of first-last, first- and -suffix.`,
      )
    }
    if (range === 'unsatisfiable') continue
    ranges.push(range)
    total += range.length
  }
  if (ranges.length === 0) return refused(`The disk has ${size} bytes, none of them in the range.`)
  if (total > size) {
    return refused('The ranges overlap so much that they hold more bytes than the disk; ask for each once.')
  }
  return { satisfiable: true, ranges }
}
