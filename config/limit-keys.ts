import type { KeySpec } from './key-spec.ts'
import * as check from './value-checks.ts'

/** What one client may have of the API. */
export const API_LIMIT_KEYS = [
  {
    path: 'api.connections_per_client',
    type: 'integer',
    default: 256,
    check: check.count,
    doc: 'How many connections one client may have open, 1 to 1000000; more are closed at once.',
    reason: 'So that nobody takes all of them; an IPv6 network of 64 bits counts as one client.',
  },
  {
    path: 'api.downloads_per_client',
    type: 'integer',
    default: 32,
    check: check.count,
    doc: 'How many downloads one client may have under way, 1 to 1000000; more are answered with 429.',
    reason: 'Each holds a disk open and a mebibyte or two of memory.',
  },
] as const satisfies readonly KeySpec[]

/** How often a login may fail. */
export const LOGIN_LIMIT_KEYS = [
  {
    path: 'auth.failed_logins_per_address',
    type: 'integer',
    default: 30,
    check: check.count,
    doc: 'How many logins from one client may fail in a minute, 1 to 1000000; then the answer is 429.',
    reason: 'Slows down who guesses at passwords; logins that succeed are not counted.',
  },
  {
    path: 'auth.failed_logins_per_user',
    type: 'integer',
    default: 10,
    check: check.count,
    doc: 'How many logins of one user may fail in a minute, from anywhere, 1 to 1000000.',
    reason:
      'Slows down many hosts that guess together; where the user has logged in before he has as many of his own.',
  },
] as const satisfies readonly KeySpec[]
