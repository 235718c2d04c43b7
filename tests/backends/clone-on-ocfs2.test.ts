import assert from 'node:assert/strict'
import { access, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { SystemCallError } from 'diskferry/native'
import { type CloneCalls, cloneOnOcfs2 } from '../../backends/ocfs2/clone-on-ocfs2.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** errno(3) */
const EPERM = 1
const ENOENT = 2
const ENOTTY = 25
const ENOSPC = 28
const EOPNOTSUPP = 95

interface Kernel {
  /** What each call answers; it makes the file when left out. */
  readonly reflink?: number
  readonly ficlone?: number
  readonly spaceBehindEnd?: boolean
}

/** Kernels that this machine can't boot: calls that answer as they do, and note that they were made. */
function callsOf({ reflink, ficlone, spaceBehindEnd = false }: Kernel, made: string[]): CloneCalls {
  const call = (name: string, errno: number | undefined) => async (source: string, target: string) => {
    made.push(name)
    if (errno !== undefined) throw new SystemCallError(name, errno, source, target)
    await writeFile(target, 'clone', { flag: 'wx' })
  }
  return {
    reflink: call('reflink', reflink),
    ficlone: call('ficlone', ficlone),
    hasSpaceBehindEnd: async () => spaceBehindEnd,
  }
}

async function cloneWith(
  kernel: Kernel,
): Promise<{ readonly made: string[]; readonly error: unknown; readonly exists: boolean }> {
  await using directory = await temporaryDirectory('clone-on-ocfs2')
  const target = join(directory.path, 'clone')
  const made: string[] = []
  const error = await cloneOnOcfs2('/disk', target, undefined, callsOf(kernel, made)).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  const exists = await access(target).then(
    () => true,
    () => false,
  )
  return { made, error, exists }
}

test('the ioctl of OCFS2 comes first, and is enough', async () => {
  assert.deepEqual(await cloneWith({}), { made: ['reflink'], error: undefined, exists: true })
})

for (const [what, errno] of [
  ['a kernel without the ioctl', ENOTTY],
  ['a disk that the ioctl may not clone, being immutable,', EPERM],
] as const) {
  test(`for ${what} FICLONE is asked`, async () => {
    const made = ['reflink', 'ficlone']
    assert.deepEqual(await cloneWith({ reflink: errno }), { made, error: undefined, exists: true })
  })
}

for (const [name, errno] of Object.entries({ ENOENT, ENOSPC, EOPNOTSUPP })) {
  test(`${name} of the ioctl would be FICLONE's answer too, so it is not asked`, async () => {
    const { made, error, exists } = await cloneWith({ reflink: errno })
    assert.deepEqual(made, ['reflink'])
    assert.equal((error as SystemCallError).code, name)
    assert.equal(exists, false)
  })
}

test('a disk with space behind its end is never given to the ioctl', async () => {
  assert.deepEqual(await cloneWith({ spaceBehindEnd: true }), {
    made: ['ficlone'],
    error: undefined,
    exists: true,
  })
})

for (const [name, errno] of Object.entries({ ENOTTY, EOPNOTSUPP })) {
  test(`a disk with space behind its end is refused where FICLONE is ${name}, with what to do`, async () => {
    const { made, error, exists } = await cloneWith({ spaceBehindEnd: true, ficlone: errno })
    assert.deepEqual(made, ['ficlone'])
    assert.match(String(error), /'\/disk' has space allocated behind its end.*truncate --size=\+0 '\/disk'/)
    assert.ok((error as Error).cause instanceof SystemCallError)
    assert.equal(exists, false)
  })
}

test('another refusal of a disk with space behind its end stays what it is', async () => {
  const { error } = await cloneWith({ spaceBehindEnd: true, ficlone: ENOSPC })
  assert.equal((error as SystemCallError).code, 'ENOSPC')
})
