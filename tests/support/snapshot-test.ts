import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DiskferryError, type ErrorCode } from '../../core/errors.ts'
import { makeCore, makeDisk, type TestCore } from './core.ts'
import { type StorageTestContext, storageTest } from './storage-test.ts'

export const VM = 'vm-1'
export const WHOLE = { squash: true }
export const MIB = 1024 * 1024

export interface Bench extends StorageTestContext {
  readonly core: TestCore
  readonly disk: string
  readonly dbFile: string
}

/** A core over one XFS repository with one VM that has one disk: 8 MiB, data in its second mebibyte. */
export function snapshotTest(sentence: string, body: (bench: Bench) => Promise<void>): void {
  storageTest('xfs', sentence, async (context) => {
    const disk = await makeDisk(context.mount, 'disk.img', 8 * MIB, [[MIB, Buffer.alloc(MIB, 1)]])
    const dbFile = join(context.filesystem.image, '..', 'test.db')
    await using core = await makeCore({ mounts: [context.mount], vms: [{ name: VM, disks: [disk] }], dbFile })
    await body({ ...context, core, disk, dbFile })
  })
}

/** For assert.rejects: our error with this code, its message matching. */
export function failsWith(code: ErrorCode, pattern = /./) {
  return (error: unknown) => {
    assert.ok(error instanceof DiskferryError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, pattern)
    return true
  }
}
