import { randomBytes } from 'node:crypto'
import type { ByteRange } from './byte-ranges.ts'

/** A piece of a body: bytes to send as they are, or bytes of the disk. */
export type Segment = Buffer | ByteRange

export interface MultipartRanges {
  readonly contentType: string
  /** Bytes of the whole body, known before a byte of the disk is read. */
  readonly contentLength: number
  readonly segments: readonly Segment[]
}

/** `Content-Range` of one range of a disk with `size` bytes. */
export function contentRange(range: ByteRange, size: number): string {
  return `bytes ${range.start}-${range.start + range.length - 1}/${size}`
}

/** A multipart/byteranges body, RFC 9110 section 14.6. */
export function multipartRanges(
  ranges: readonly ByteRange[],
  size: number,
  partType: string,
): MultipartRanges {
  // 128 random bits: no disk holds them by chance, and nobody can have put them there.
  const boundary = randomBytes(16).toString('hex')
  const segments: Segment[] = []
  for (const range of ranges) {
    const head = `\r\n--${boundary}\r\nContent-Type: ${partType}\r\nContent-Range: ${contentRange(range, size)}\r\n\r\n`
    segments.push(Buffer.from(head), range)
  }
  segments.push(Buffer.from(`\r\n--${boundary}--\r\n`))
  const contentLength = segments.reduce((sum, segment) => sum + segment.length, 0)
  return { contentType: `multipart/byteranges; boundary=${boundary}`, contentLength, segments }
}
