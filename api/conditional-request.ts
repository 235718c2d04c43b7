import type { IncomingHttpHeaders } from 'node:http'
import { parseHttpDate } from './http-date.ts'

/** What the current state of a resource is recognised by. */
export interface Validators {
  /** Strong, with its quotes. */
  readonly etag: string
  /** Seconds since 1970. */
  readonly lastModified: number
}

export type Precondition = 'proceed' | 'not-modified' | 'failed'

/** entity-tag of RFC 9110 section 8.8.3; Node gives header bytes above 0x7f as the same code points. */
const ENTITY_TAG = /^(W\/)?("[\x21\x23-\x7e\x80-\xff]*")/

/** @returns the entity tags of a list, or undefined when the field is not a list of entity tags */
function parseEntityTags(field: string): readonly { weak: boolean; opaque: string }[] | undefined {
  const tags: { weak: boolean; opaque: string }[] = []
  let rest = field.replace(/^[\t ,]+/, '')
  while (rest !== '') {
    const match = ENTITY_TAG.exec(rest)
    if (match === null) return undefined
    const [text, weak, opaque] = match
    tags.push({ weak: weak !== undefined, opaque: opaque! })
    const after = rest.slice(text.length)
    rest = after.replace(/^[\t ]*(?:,[\t ,]*|$)/, '')
    if (after !== '' && rest === after) return undefined
  }
  return tags.length === 0 ? undefined : tags
}

function anyTagMatches(field: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (field.trim() === '*') return true
  const tags = parseEntityTags(field) ?? []
  return tags.some((tag) => tag.opaque === etag && (comparison === 'weak' || !tag.weak))
}

/** The order of RFC 9110 section 13.2.2, for GET and HEAD. If-Range is asked for apart. */
export function evaluatePreconditions(headers: IncomingHttpHeaders, current: Validators): Precondition {
  const ifMatch = headers['if-match']
  if (ifMatch !== undefined) {
    if (!anyTagMatches(ifMatch, current.etag, 'strong')) return 'failed'
  } else {
    const since = parseHttpDate(headers['if-unmodified-since'] ?? '')
    if (since !== undefined && current.lastModified > since) return 'failed'
  }
  const ifNoneMatch = headers['if-none-match']
  if (ifNoneMatch !== undefined) {
    return anyTagMatches(ifNoneMatch, current.etag, 'weak') ? 'not-modified' : 'proceed'
  }
  const since = parseHttpDate(headers['if-modified-since'] ?? '')
  return since !== undefined && current.lastModified <= since ? 'not-modified' : 'proceed'
}

/**
 * Whether a Range header counts, RFC 9110 section 13.1.5: there is no If-Range, or it names exactly what would
 * be sent. The date is a strong validator here because a snapshot never changes.
 */
export function rangeApplies(headers: IncomingHttpHeaders, current: Validators): boolean {
  const field = headers['if-range']
  if (field === undefined) return true
  if (typeof field !== 'string') return false
  return field === current.etag || parseHttpDate(field) === current.lastModified
}
