import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { MAX_RANGES } from '../../api/byte-ranges.ts'
import { answerForDisk } from '../../api/disk-answer.ts'

const SIZES = [0, 1, 300, 2 ** 53 - 1]

/** The first line is the Range header; each other one is a header with its name. */
function headersOf(input: Buffer): IncomingHttpHeaders {
  const [range, ...lines] = input.toString('latin1').split('\n')
  const others = lines.map((line) => {
    const [name = '', ...value] = line.split(': ')
    return [name.toLowerCase(), value.join(': ')] as const
  })
  return { ...Object.fromEntries(others), ...(range !== undefined && { range }) }
}

/** Whatever is asked for: the answer is one that HTTP knows, and no byte of it lies outside of the disk. */
export function parseByteRangesCase(input: Buffer): void {
  const headers = headersOf(input)
  for (const size of SIZES) {
    const disk = { size, etag: 'etag', createdAt: '2024-02-29T12:34:56.789Z' }
    const { status, segments, refusal, headers: answered } = answerForDisk(headers, disk)
    assert.ok([200, 206, 304, 412, 416].includes(status), `status ${status}`)
    assert.equal(refusal !== undefined, status === 412 || status === 416)
    const ranges = segments.filter((segment) => !Buffer.isBuffer(segment))
    assert.ok(ranges.length <= MAX_RANGES, `${ranges.length} ranges`)
    let bytes = 0
    for (const segment of segments) {
      bytes += segment.length
      if (Buffer.isBuffer(segment)) continue
      assert.ok(Number.isSafeInteger(segment.start) && segment.start >= 0 && segment.length > 0)
      assert.ok(segment.start <= size - segment.length, `${segment.start}+${segment.length} of ${size}`)
    }
    if (status === 200 || status === 206) {
      assert.equal(answered['content-length'], String(bytes))
      assert.ok(ranges.reduce((sum, { length }) => sum + length, 0) <= 2 * size, 'more than twice the disk')
    }
  }
}
