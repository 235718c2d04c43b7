import type { IncomingHttpHeaders } from 'node:http'
import { DiskferryError } from '../core/errors.ts'
import type { OpenDisk } from '../core/services.ts'
import { type ByteRange, selectByteRanges } from './byte-ranges.ts'
import { evaluatePreconditions, rangeApplies, type Validators } from './conditional-request.ts'
import { contentRange, multipartRanges, type Segment } from './multipart-ranges.ts'

/** How a request for a disk is answered, known before a byte of it is read. */
export interface DiskAnswer {
  readonly status: 200 | 206 | 304 | 412 | 416
  readonly headers: Readonly<Record<string, string>>
  readonly segments: readonly Segment[]
  /** Why not, for 412 and 416. */
  readonly refusal?: DiskferryError
}

const DISK_TYPE = 'application/octet-stream'

function whole(headers: Record<string, string>, size: number): DiskAnswer {
  return {
    status: 200,
    headers: { ...headers, 'content-type': DISK_TYPE, 'content-length': String(size) },
    segments: size === 0 ? [] : [{ start: 0, length: size }],
  }
}

function partial(headers: Record<string, string>, size: number, ranges: readonly ByteRange[]): DiskAnswer {
  const [only, ...others] = ranges
  if (only !== undefined && others.length === 0) {
    return {
      status: 206,
      headers: {
        ...headers,
        'content-type': DISK_TYPE,
        'content-length': String(only.length),
        'content-range': contentRange(only, size),
      },
      segments: [only],
    }
  }
  const { contentType, contentLength, segments } = multipartRanges(ranges, size, DISK_TYPE)
  return {
    status: 206,
    headers: { ...headers, 'content-type': contentType, 'content-length': String(contentLength) },
    segments,
  }
}

/** RFC 9110 sections 13 and 14, for GET; HEAD gets the same without the segments. */
export function answerForDisk(
  request: IncomingHttpHeaders,
  disk: Pick<OpenDisk, 'size' | 'etag' | 'createdAt'>,
): DiskAnswer {
  const created = new Date(disk.createdAt)
  const validators: Validators = {
    etag: `"${disk.etag}"`,
    lastModified: Math.floor(created.getTime() / 1000),
  }
  const headers = {
    'accept-ranges': 'bytes',
    etag: validators.etag,
    'last-modified': created.toUTCString(),
  }
  switch (evaluatePreconditions(request, validators)) {
    case 'failed': {
      const details = 'The snapshot is not the one that If-Match or If-Unmodified-Since names.'
      return {
        status: 412,
        headers,
        segments: [],
        refusal: new DiskferryError('PRECONDITION_FAILED', details),
      }
    }
    case 'not-modified':
      return { status: 304, headers, segments: [] }
    case 'proceed':
      break
  }
  const range = request.range
  if (range === undefined || !rangeApplies(request, validators)) return whole(headers, disk.size)
  const selection = selectByteRanges(range, disk.size)
  if (selection.satisfiable) return partial(headers, disk.size, selection.ranges)
  return {
    status: 416,
    headers: { ...headers, 'content-range': `bytes */${disk.size}` },
    segments: [],
    refusal: new DiskferryError('RANGE_NOT_SATISFIABLE', selection.reason),
  }
}
