import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import xfs from '../../backends/xfs/index.ts'
import type { Audit, AuditOptions } from '../../core/audit/audit.ts'
import type { SnapshotMap } from '../../core/services.ts'
import { type CoreOptions, makeCore, makeDisk, type TestCore, writeAt } from './core.ts'
import { type Lies, lyingBackend } from './lying-backend.ts'
import { MIB, VM, WHOLE } from './snapshot-test.ts'
import { type StorageTestContext, storageTest } from './storage-test.ts'

export const BLOCK = 4096
export const SIZE = 16 * MIB

export interface AuditBench extends StorageTestContext {
  readonly core: TestCore
  readonly options: CoreOptions
  readonly disk: string
  readonly logged: readonly (object & { message: string })[]
  /** What the backend hides from now on. */
  lie(lies: Lies): void
  /** Starts an audit and waits for its end. */
  audit(target: SnapshotMap, options: AuditOptions): Promise<Audit>
}

/** A VM with one disk of 16 MiB, data in its second to fifth mebibyte, under a backend that can be made to lie. */
export function auditTest(sentence: string, body: (bench: AuditBench) => Promise<void>): void {
  storageTest('xfs', sentence, async (context) => {
    const disk = await makeDisk(context.mount, 'disk.img', SIZE, [[MIB, Buffer.alloc(4 * MIB, 1)]])
    const logged: (object & { message: string })[] = []
    const log = {
      info: () => undefined,
      warn: () => undefined,
      error: (fields: object, message: string) => void logged.push({ ...fields, message }),
    }
    let told: Lies = {}
    const options: CoreOptions = {
      mounts: [context.mount],
      vms: [{ name: VM, disks: [disk] }],
      dbFile: join(context.filesystem.image, '..', 'test.db'),
      backends: [lyingBackend(xfs(), () => told)],
      log,
    }
    await using core = await makeCore(options)
    await body({
      ...context,
      core,
      options,
      disk,
      logged,
      lie(lies) {
        told = lies
      },
      async audit(target, auditOptions) {
        await core.audits.start(VM, target.id, auditOptions)
        await core.audits.ended(VM, target.id)
        return core.audits.get(VM, target.id)
      },
    })
  })
}

/** Two snapshots; between them one block changed, two were zeroed and one was written into a hole. */
export async function changedPair({ core, disk }: AuditBench) {
  const base = await core.snapshots.create(VM, WHOLE)
  await writeAt(disk, 2 * MIB, Buffer.alloc(BLOCK, 2))
  await writeAt(disk, 3 * MIB, Buffer.alloc(2 * BLOCK, 0))
  await writeAt(disk, 10 * MIB, Buffer.alloc(BLOCK, 3))
  return { base, target: await core.snapshots.create(VM, WHOLE) }
}

/** What a client has of the target that brings a copy of the base up to date. */
export async function pulled(core: TestCore, base: SnapshotMap, target: SnapshotMap): Promise<Buffer> {
  const copy = await readFile(base.disks[0]!.path)
  const source = await readFile(target.disks[0]!.path)
  const { disks } = await core.snapshots.get(VM, target.id, { squash: true, compareTo: base.id })
  for (const { start, length, zero } of disks[0]!.chunks) {
    if (zero) copy.fill(0, start, start + length)
    else source.copy(copy, start, start, start + length)
  }
  return copy
}
