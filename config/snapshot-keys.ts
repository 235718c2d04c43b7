import type { KeySpec } from './key-spec.ts'
import * as check from './value-checks.ts'

/** The keys that say how snapshots are taken and how long they are kept: a part of the schema. */
export const SNAPSHOT_KEYS = [
  {
    path: 'quiesce.before',
    type: 'strings',
    sample: ['/etc/diskferry/quiesce', 'freeze', '{vm}'],
    check: check.hook,
    doc: 'A program and its arguments that brings a guest to rest before its disks are cloned; `{vm}`, `{uuid}` and `{name}` stand for the VM.',
    reason: 'Without it a snapshot is what a power cut would leave.',
  },
  {
    path: 'quiesce.after',
    type: 'strings',
    sample: ['/etc/diskferry/quiesce', 'thaw', '{vm}'],
    check: check.hook,
    doc: 'The program that lets the guest go on; it is run whatever happened, also when `before` failed, so it must not mind a guest that is not at rest.',
    reason: 'A guest must not stay at rest because a clone failed or a client went away.',
  },
  {
    path: 'quiesce.timeout',
    type: 'duration',
    default: '30s',
    check: check.hookTimeout,
    doc: 'How long each of the two may take, 100ms to 1h; then it is killed with all processes of its group.',
    reason: 'The guest may be at rest while they run.',
  },
  {
    path: 'quiesce.required',
    type: 'boolean',
    default: false,
    doc: 'Whether a snapshot is refused when `before` fails, rather than taken as after a power cut.',
    reason: 'For most guests a snapshot that says what it is beats none.',
  },
  {
    path: 'quiesce.max_stall',
    type: 'duration',
    default: '0s',
    check: check.maxStall,
    doc: 'How long the clones of a snapshot may hold up the guest, 1ms to 1h; "0s" is no limit, and nothing is forecast.',
    reason:
      'A clone of a disk of many extents takes long and cannot be given up; counting them before costs some 4 us each.',
  },
  {
    path: 'quiesce.on_long_stall',
    type: 'string',
    default: 'refuse',
    choices: ['refuse', 'warn'],
    doc: 'What is done when the forecast is longer than `max_stall`: no snapshot, or one with a warning in the log. When the stall can not be forecast, since counting took longer than 30 s or failed, there is a snapshot with a warning in both cases.',
    reason: 'Who sets a limit wants it kept.',
  },
  {
    path: 'retention.keep_last',
    type: 'integer',
    default: 0,
    check: check.keepLast,
    doc: 'How many snapshots of a VM are kept, 1 to 10000, the newest ones; older ones are deleted. 0 keeps all.',
    reason:
      'Snapshots that nobody deletes fill a repository, but whoever makes them should know when to delete them.',
  },
  {
    path: 'retention.max_age',
    type: 'duration',
    default: '0s',
    check: check.maxAge,
    doc: 'How old a snapshot may become, 1m or more; older ones are deleted, but never the newest of a VM. "0s" is no limit.',
    reason: 'A leased snapshot is kept whatever these two say, so a client can keep the base of its chain.',
  },
  {
    path: 'retention.interval',
    type: 'duration',
    default: '15m',
    check: check.retentionInterval,
    doc: 'How often all VMs are looked through, 1s to 24h; a VM of which a snapshot is taken is looked at right after it.',
    reason: 'Age goes on, and leases end, without a snapshot being taken.',
  },
] as const satisfies readonly KeySpec[]
