import { isIP } from 'node:net'
import { isAbsolute } from 'node:path'
import { parsePasswordHash } from './password-hash-format.ts'
import { quote } from './quote.ts'

/** HS256 wants a key at least as long as its hash: RFC 7518, section 3.2. */
export const MIN_SECRET_BYTES = 32

/** Bytes a second; a deleted snapshot is noticed between two reads, so they must not lie far apart. */
const MIN_AUDIT_RATE = 65_536
const MOST_AUDITS = 64

const MINUTE_MS = 60 * 1000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const MOST_KEPT = 10_000
const MAX_ARGUMENTS = 64
const PLACEHOLDER = /\{\w+\}/
const PLACEHOLDERS = /\{\w+\}/g
const KNOWN: ReadonlySet<string> = new Set(['{vm}', '{uuid}', '{name}'])

/** C0, DEL and C1. */
const CONTROL = /\p{Cc}/u

export function ipAddress(value: string): string | undefined {
  if (isIP(value) !== 0) return undefined
  return `${quote(value)} is not an IP address; use 0.0.0.0 or :: for every address, or one address of this host`
}

export function port(value: number): string | undefined {
  if (value >= 0 && value <= 65535) return undefined
  return `${value} is not a port; use 1 to 65535, or 0 for any free one`
}

export function count(value: number): string | undefined {
  if (value >= 1 && value <= 1_000_000) return undefined
  return `${value} is out of range; use 1 to 1000000`
}

export function jwtSecret(value: string): string | undefined {
  const bytes = Buffer.byteLength(value)
  if (bytes >= MIN_SECRET_BYTES) return undefined
  return `has ${bytes} bytes, fewer than ${MIN_SECRET_BYTES}, so tokens could be forged; make one with \`openssl rand -hex 32\``
}

export function tokenLifetime(milliseconds: number): string | undefined {
  if (milliseconds === 0 || milliseconds >= 1000) return undefined
  return 'is shorter than a second; use "1s" or more, or "0" for the default'
}

export function grace(milliseconds: number): string | undefined {
  if (milliseconds <= DAY_MS) return undefined
  return 'is longer than a day; use "24h" or less'
}

export function auditRate(value: number): string | undefined {
  if (value >= MIN_AUDIT_RATE) return undefined
  return `${value} bytes a second is so slow that no audit would end; use ${MIN_AUDIT_RATE} or more`
}

export function auditCount(value: number): string | undefined {
  if (value >= 1 && value <= MOST_AUDITS) return undefined
  return `${value} is not a number of audits; use 1 to ${MOST_AUDITS}`
}

export function keepLast(value: number): string | undefined {
  if (value >= 0 && value <= MOST_KEPT) return undefined
  return `${value} is not a number of snapshots; use 1 to ${MOST_KEPT}, or 0 to keep all`
}

export function maxAge(milliseconds: number): string | undefined {
  if (milliseconds === 0 || milliseconds >= MINUTE_MS) return undefined
  return 'is shorter than a minute; use "1m" or more, or "0s" for no limit'
}

export function retentionInterval(milliseconds: number): string | undefined {
  if (milliseconds >= 1000 && milliseconds <= DAY_MS) return undefined
  return 'is too short or too long; use "1s" to "24h"'
}

export function maxStall(milliseconds: number): string | undefined {
  if (milliseconds === 0 || (milliseconds >= 1 && milliseconds <= HOUR_MS)) return undefined
  return 'is too short or too long; use "1ms" to "1h", or "0s" for no limit'
}

export function hookTimeout(milliseconds: number): string | undefined {
  if (milliseconds >= 100 && milliseconds <= HOUR_MS) return undefined
  return 'is no time to give a hook; use "100ms" to "1h"'
}

/** A program and its arguments. */
export function hook(argv: readonly string[]): string | undefined {
  const [program, ...args] = argv
  if (program === undefined) return 'is empty; name a program, then its arguments'
  if (argv.length > MAX_ARGUMENTS) return `has more than ${MAX_ARGUMENTS} arguments; use fewer`
  if (!isAbsolute(program)) return `${quote(program)} is not an absolute path; start it with /`
  for (const part of argv) {
    const problem = plainPath(part)
    if (problem !== undefined) return problem
  }
  if (PLACEHOLDER.test(program)) return 'has a placeholder in the name of the program; use it in an argument'
  const unknown = args.flatMap((part) => part.match(PLACEHOLDERS) ?? []).find((part) => !KNOWN.has(part))
  return unknown === undefined ? undefined : `${quote(unknown)} is not known; use {vm}, {uuid} or {name}`
}

export function answerTime(milliseconds: number): string | undefined {
  if (milliseconds >= 1000 && milliseconds <= 5 * 60_000) return undefined
  return 'is shorter than a second or longer than five minutes; use "10s" unless a slow server needs more'
}

export function endpoint(value: string): string | undefined {
  const example = 'write it as "https://manager.example:7002"'
  if (!URL.canParse(value)) return `is not a URL; ${example}`
  const url = new URL(value)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return `is not an https URL; ${example}`
  if (url.username !== '' || url.password !== '') return `holds a user name or a password; ${example}`
  if (url.search !== '' || url.hash !== '') return `holds a query or a fragment; ${example}`
  return undefined
}

export function plainPath(value: string): string | undefined {
  if (CONTROL.test(value)) return 'holds a control character; remove it'
  return value.length > 4096 ? 'is longer than 4096 characters; use a shorter path' : undefined
}

export function absolutePath(value: string): string | undefined {
  if (!isAbsolute(value)) return `${quote(value)} is not an absolute path; start it with /`
  return plainPath(value)
}

/** For ids that become a part of URLs and of file names. */
export function identifier(value: string): string | undefined {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(value)) return undefined
  return `${quote(value)} can't be an id; use 1 to 128 letters, digits, dots, dashes and underscores, a letter or digit first`
}

export function uuid(value: string): string | undefined {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) return undefined
  return `${quote(value)} is not a UUID; write it as 8-4-4-4-12 hexadecimal digits, \`uuidgen\` makes one`
}

export function label(value: string): string | undefined {
  if (CONTROL.test(value)) return 'holds a control character; remove it'
  return value.length > 256 ? 'is longer than 256 characters; shorten it' : undefined
}

export function deviceName(value: string): string | undefined {
  if (/^[A-Za-z][A-Za-z0-9]{0,31}(:cdrom)?$/.test(value)) return undefined
  return `${quote(value)} is not a device of a guest; write it as "xvda", or "xvdc:cdrom" for a CD-ROM`
}

export function passwordHash(value: string): string | undefined {
  if (parsePasswordHash(value) !== undefined) return undefined
  return 'is not a password hash of this program, or its costs are out of bounds; make one with `diskferry hash-password`'
}

export function moduleName(value: string): string | undefined {
  if (/^\.{0,2}\//.test(value)) return plainPath(value)
  if (/^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*(\/[A-Za-z0-9._~-]+)*$/.test(value))
    return undefined
  return `${quote(value)} is neither a package name nor a path; a path starts with /, ./ or ../`
}
