import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { BACKEND_API_VERSION } from 'diskferry/core'
import type { Check } from '../check.ts'
import type { CheckContext } from '../check-context.ts'
import { FILESYSTEM_FEATURES } from '../features.ts'
import { foreignFolder } from '../foreign-folder.ts'
import { sameAddress } from '../oracle/same-address.ts'

const KIB = 1024
const MIB = 1024 * KIB
const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/
const OPERATIONS = ['checkCompatibility', 'clone', 'extentMap', 'diff'] as const

export const manifestChecks: readonly Check[] = [
  { name: 'the manifest and the four operations have the shape that the contract asks for', run: checkShape },
  {
    name: 'the manifest names the filesystem of the mount',
    async run({ backend, suite }) {
      const { filesystems } = backend.manifest
      const { filesystem, mountPoint } = suite.mount
      assert.ok(
        filesystems.includes(filesystem),
        `'${mountPoint}' is ${filesystem}, and the manifest names ${filesystems.join(', ')}: no disk there would be given to this backend`,
      )
    },
  },
  {
    name: 'checkCompatibility() finds the mount compatible, and leaves nothing behind',
    async run(context) {
      const { backend, suite, folder, signal } = context
      const target = { mount: suite.mount, trialDirectory: folder }
      const { compatible, reasons } = await backend.checkCompatibility(target, signal)
      assert.equal(compatible, true, `it says: ${reasons.join('; ')}`)
      assert.deepEqual(reasons, [], 'a compatible mount has no reasons against it')
      assert.deepEqual(await context.listing(), [], 'these trial files were left in the folder')
    },
  },
  {
    name: 'checkCompatibility() refuses a filesystem without reflinks, with reasons, and leaves nothing behind',
    run: checkRefusal,
  },
  { name: 'differences are found in the way that the manifest declares', run: checkMethod },
  {
    name: 'an address stands for the data: where two maps have the same one, the bytes are the same',
    run: checkAddresses,
  },
]

async function checkShape({ backend }: CheckContext): Promise<void> {
  const { manifest } = backend
  assert.equal(typeof manifest, 'object', 'there is no manifest')
  assert.equal(manifest.apiVersion, BACKEND_API_VERSION, 'apiVersion is not that of the contract')
  assert.match(manifest.name, NAME, 'the name is 1 to 32 of a-z, 0-9 and -')
  assert.ok(typeof manifest.description === 'string' && manifest.description.trim() !== '', 'no description')
  assert.ok(Array.isArray(manifest.filesystems) && manifest.filesystems.length > 0, 'no filesystems')
  for (const name of manifest.filesystems) {
    assert.ok(typeof name === 'string' && name !== '', 'a filesystem without a name')
  }
  assert.ok(['physical', 'content'].includes(manifest.difference), 'difference is "physical" or "content"')
  const { unsupported = {} } = manifest as { readonly unsupported?: Readonly<Record<string, unknown>> }
  for (const [feature, reason] of Object.entries(unsupported)) {
    assert.ok(
      (FILESYSTEM_FEATURES as readonly string[]).includes(feature),
      `unsupported names ${JSON.stringify(feature)}; there are ${FILESYSTEM_FEATURES.join(', ')}`,
    )
    assert.ok(
      typeof reason === 'string' && reason.trim() !== '',
      `unsupported gives no reason for ${feature}`,
    )
  }
  for (const operation of OPERATIONS) assert.equal(typeof backend[operation], 'function', `no ${operation}()`)
}

/** The mount looks right and can't clone, as an XFS without reflink: a check by name would believe it. */
async function checkRefusal({ backend, suite, signal }: CheckContext): Promise<void> {
  await using foreign = await foreignFolder(suite)
  const { path } = foreign
  const mount = { ...suite.mount, mountPoint: path }
  const { compatible, reasons } = await backend.checkCompatibility({ mount, trialDirectory: path }, signal)
  assert.equal(compatible, false, `it finds '${path}' compatible, which makes no reflinks`)
  assert.ok(reasons.length > 0, 'it gives no reason')
  for (const reason of reasons) assert.ok(reason.trim() !== '', 'a reason is empty')
  const left = (await readdir(path)).filter((name) => name !== 'source' && name !== 'target')
  assert.deepEqual(left, [], 'these trial files were left in the folder')
}

async function checkMethod(context: CheckContext): Promise<void> {
  const { backend } = context
  const declared = backend.manifest.difference
  const disk = await context.fullDisk(MIB)
  await disk.sync()
  const base = await context.clone(disk, 'base')
  await disk.fill(256 * KIB, 64 * KIB, 2)
  await disk.sync()
  const target = await context.clone(disk, 'target')
  const { method, fallbackReason } = await context.checkDifference(base, target)
  const because = fallbackReason === undefined ? '' : ` ("${fallbackReason}")`
  assert.equal(
    method,
    declared,
    `the manifest declares differences by ${declared}, but two plain clones were compared by ${method}${because}`,
  )
  if (declared === 'content') return
  for (const { start, physicalStart, unwritten } of await context.checkMap(target)) {
    assert.ok(
      unwritten || physicalStart !== null,
      `the manifest declares differences by address, but the plain extent at ${start} has none`,
    )
  }
}

/** A filesystem whose addresses mean nothing gives none; the same number for other bytes is what a difference trusts. */
async function checkAddresses(context: CheckContext): Promise<void> {
  const disk = await context.fullDisk(MIB)
  const stranger = await context.fullDisk(MIB, 'stranger', 2)
  const base = await context.clone(disk, 'base')
  await disk.fill(128 * KIB, 64 * KIB, 3)
  await disk.fill(512 * KIB + 100, 5000, 4)
  for (const file of [disk, stranger]) await file.sync()
  for (const [left, right] of [
    [disk, stranger],
    [base, disk],
    [base, stranger],
  ] as const) {
    const claimed = sameAddress(await context.checkMap(left), await context.checkMap(right))
    const [one, other] = [await readFile(left.path), await readFile(right.path)]
    for (const { start, length } of claimed) {
      assert.ok(
        one.subarray(start, start + length).equals(other.subarray(start, start + length)),
        `the maps of '${left.path}' and '${right.path}' have the same address at ${start}, and other bytes there`,
      )
    }
  }
}
