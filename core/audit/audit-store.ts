import type Keyv from 'keyv'
import { DiskferryError, describe } from '../errors.ts'
import { type Audit, abandoned } from './audit.ts'

/** A pair of snapshots whose difference was found to be wrong. */
export interface DistrustedPair {
  readonly compareTo: string
  readonly snapshotId: string
  /** Why its difference is not believed any more, for `fallback_reason`. */
  readonly reason: string
}

/** Of one VM: the last audit of each snapshot, oldest first, and the pairs that are compared by content from now on. */
export interface AuditRecord {
  readonly version: 1
  readonly audits: readonly Audit[]
  readonly distrusted: readonly DistrustedPair[]
}

/** Bounds the record of a VM with very many snapshots. */
const MOST_AUDITS = 100
const EMPTY: AuditRecord = { version: 1, audits: [], distrusted: [] }

/**
 * What audits found out, in the database. Who writes holds the VM's audit lock. Whatever asks the database throws STORE_FAILED.
 *
 * What an ended audit found out holds although it could not be written, on a full disk for example: this process goes by
 * it, and `writeAgain` has another try.
 */
export class AuditStore {
  readonly #keyv: Keyv
  readonly #unwritten = new Map<string, AuditRecord>()
  #updates: Promise<void> = Promise.resolve()

  /** @param keyv with `throwOnErrors` */
  constructor(keyv: Keyv) {
    if (!keyv.throwOnErrors) throw new TypeError('the audit store needs a Keyv that throws its errors')
    this.#keyv = keyv
  }

  async read(vmId: string): Promise<AuditRecord> {
    const value: unknown = await this.#guarded('read', () => this.#keyv.get(vmId))
    const written = value === undefined ? EMPTY : checked(value, vmId)
    return merged(written, this.#unwritten.get(vmId) ?? EMPTY)
  }

  async reasonToDistrust(vmId: string, compareTo: string, snapshotId: string): Promise<string | undefined> {
    const { distrusted } = await this.read(vmId)
    return distrusted.find((pair) => isSamePair(pair, { compareTo, snapshotId }))?.reason
  }

  /** In place of the earlier audit of the same snapshot. */
  async keep(audit: Audit): Promise<void> {
    const found = { ...EMPTY, audits: [audit] }
    if (audit.state === 'running') await this.#update(audit.vmId, (record) => merged(record, found))
    else await this.#lasting(audit.vmId, found)
  }

  /** For good: it ends with the snapshots. A pair that is distrusted already keeps its first reason. */
  distrust(vmId: string, pair: DistrustedPair): Promise<void> {
    return this.#lasting(vmId, { ...EMPTY, distrusted: [pair] })
  }

  /** VMs of which something is known that could not be written. */
  get unwritten(): readonly string[] {
    return [...this.#unwritten.keys()]
  }

  hasUnwritten(vmId: string): boolean {
    return this.#unwritten.has(vmId)
  }

  writeAgain(vmId: string): Promise<void> {
    return this.#update(vmId, (record) => record)
  }

  /** Forgets what is known of snapshots that are no more, and ends what a killed program left running. */
  settle(vmId: string, snapshotIds: ReadonlySet<string>): Promise<void> {
    return this.#update(vmId, (record) => ({
      ...record,
      audits: record.audits
        .filter(({ snapshotId }) => snapshotIds.has(snapshotId))
        .map((audit) => (audit.state === 'running' ? abandoned(audit) : audit)),
      distrusted: record.distrusted.filter((pair) => isPairOf(snapshotIds, pair)),
    }))
  }

  /**
   * How many pairs of all VMs are compared by content because an audit said so. Deleting a snapshot leaves the mark
   * here until the VM's next audit, so the mark of a pair that is no more is not counted.
   *
   * @param snapshotIdsOf those that a VM has now
   */
  async countDistrusted(snapshotIdsOf: (vmId: string) => Promise<ReadonlySet<string>>): Promise<number> {
    const marked = new Map<string, readonly DistrustedPair[]>()
    for (const [vmId, { distrusted }] of this.#unwritten) marked.set(vmId, distrusted)
    await this.#guarded('list', async () => {
      for await (const [key, value] of this.#keyv.iterator!(undefined)) {
        const vmId = String(key)
        const record = merged(checked(value, vmId), this.#unwritten.get(vmId) ?? EMPTY)
        marked.set(vmId, record.distrusted)
      }
    })
    let count = 0
    for (const [vmId, pairs] of marked) {
      if (pairs.length === 0) continue
      const there = await snapshotIdsOf(vmId)
      count += pairs.filter((pair) => isPairOf(there, pair)).length
    }
    return count
  }

  async #lasting(vmId: string, found: AuditRecord): Promise<void> {
    // Before it is written: nobody may believe the pair meanwhile.
    this.#unwritten.set(vmId, merged(this.#unwritten.get(vmId) ?? EMPTY, found))
    await this.writeAgain(vmId)
  }

  /** One after the other: a saved progress must not undo a mark that is written at the same time. */
  #update(vmId: string, change: (record: AuditRecord) => AuditRecord): Promise<void> {
    const update = this.#updates.then(async () => {
      const before = await this.read(vmId)
      const after = change(before)
      const unwritten = this.#unwritten.get(vmId)
      if (after === before && unwritten === undefined) return
      await this.#guarded('write', async () => {
        if (after.audits.length + after.distrusted.length === 0) await this.#keyv.delete(vmId)
        else await this.#keyv.set(vmId, after)
      })
      // Something more may have been found out meanwhile.
      if (this.#unwritten.get(vmId) === unwritten) this.#unwritten.delete(vmId)
    })
    this.#updates = update.catch(() => undefined)
    return update
  }

  async #guarded<Result>(operation: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof DiskferryError) throw error
      throw new DiskferryError(
        'STORE_FAILED',
        `the database could not ${operation} what audits found out: ${describe(error)}; check db_file, the space on its filesystem and its permissions`,
        { cause: error },
      )
    }
  }
}

type Pair = Pick<DistrustedPair, 'compareTo' | 'snapshotId'>

function isSamePair(left: Pair, right: Pair): boolean {
  return left.compareTo === right.compareTo && left.snapshotId === right.snapshotId
}

/** Of a snapshot the audit that began later counts, which may be another process's; of a pair the first reason. */
function merged(record: AuditRecord, found: AuditRecord): AuditRecord {
  const newer = found.audits.filter(
    (audit) =>
      !record.audits.some((known) => isSameSnapshot(audit, known) && known.startedAt > audit.startedAt),
  )
  const others = record.audits.filter((known) => !newer.some((audit) => isSameSnapshot(audit, known)))
  const added = found.distrusted.filter((pair) => !record.distrusted.some((known) => isSamePair(known, pair)))
  return {
    version: 1,
    audits: [...others, ...newer].slice(-MOST_AUDITS),
    distrusted: [...record.distrusted, ...added],
  }
}

function isSameSnapshot(left: Audit, right: Audit): boolean {
  return left.snapshotId === right.snapshotId
}

function isPairOf(snapshotIds: ReadonlySet<string>, { compareTo, snapshotId }: Pair): boolean {
  return snapshotIds.has(compareTo) && snapshotIds.has(snapshotId)
}

function checked(value: unknown, vmId: string): AuditRecord {
  const record = value as AuditRecord | null
  const sound =
    typeof record === 'object' &&
    record?.version === 1 &&
    Array.isArray(record.audits) &&
    Array.isArray(record.distrusted)
  if (sound) return record
  throw new DiskferryError(
    'STORE_FAILED',
    `the database holds something about the audits of VM ${JSON.stringify(vmId)} that this version can't read`,
  )
}
