import type Keyv from 'keyv'
import { DiskferryError, describe } from '../errors.ts'
import { checkVmRecord, emptyVmRecord, type VmRecord } from './snapshot-record.ts'

/**
 * The index of snapshots: one record a VM. It holds no lock and no cache; who changes a record holds the VM's lock
 * from reading it to writing it.
 */
export class SnapshotStore {
  readonly #keyv: Keyv

  /** @param keyv with `throwOnErrors`: without it a failed write looks like one that worked */
  constructor(keyv: Keyv) {
    if (!keyv.throwOnErrors) throw new TypeError('the snapshot store needs a Keyv that throws its errors')
    this.#keyv = keyv
  }

  /** @throws STORE_FAILED */
  async read(vmId: string): Promise<VmRecord> {
    const value: unknown = await this.#guarded('read', () => this.#keyv.get(vmId))
    return value === undefined ? emptyVmRecord(vmId) : checkVmRecord(value, vmId)
  }

  /** Removes the record when it holds no snapshot. @throws STORE_FAILED */
  async write(record: VmRecord): Promise<void> {
    await this.#guarded('write', async () => {
      if (record.snapshots.length === 0) await this.#keyv.delete(record.vmId)
      else await this.#keyv.set(record.vmId, record)
    })
  }

  /** Every VM that has a record. @throws STORE_FAILED */
  async vmIds(): Promise<readonly string[]> {
    return this.#guarded('list', async () => {
      const iterate = this.#keyv.iterator
      if (iterate === undefined) throw new TypeError('this Keyv has no iterator')
      const ids: string[] = []
      for await (const [key] of iterate(undefined)) ids.push(String(key))
      return ids
    })
  }

  async #guarded<Result>(operation: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      throw new DiskferryError(
        'STORE_FAILED',
        `the database could not ${operation}: ${describe(error)}; check db_file, the space on its filesystem and its permissions`,
        { cause: error },
      )
    }
  }
}
