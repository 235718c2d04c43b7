import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BackendRegistry } from '../../../core/backends/backend-registry.ts'
import { loadPlugins } from '../../../core/backends/plugin-loader.ts'
import type { Mount } from '../../../core/storage-backend.ts'
import { scriptedBackend } from '../../support/broken-backend.ts'
import { SILENT } from '../../support/silent-log.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const mount: Mount = {
  mountId: 1,
  parentId: 0,
  device: '8:1',
  root: '/',
  mountPoint: '/mnt',
  filesystem: 'scripted',
  source: '/dev/sda1',
  readOnly: false,
  options: [],
}
const target = { mount, trialDirectory: '/mnt' }

describe('the registry of backends', () => {
  it('chooses the first compatible backend of those that know the filesystem', async () => {
    const registry = new BackendRegistry()
    const refusing = async () => ({ compatible: false, reasons: ['not made for cloning'] })
    registry.register(scriptedBackend({ manifest: { name: 'other', filesystems: ['ext9'] } }), 'test')
    registry.register(
      scriptedBackend({ manifest: { name: 'refusing' }, checkCompatibility: refusing }),
      'test',
    )
    registry.register(scriptedBackend({ manifest: { name: 'willing' } }), 'test')
    assert.equal((await registry.choose(target)).backend?.manifest.name, 'willing')
  })

  it('gives every reason when none is compatible, also of a check that threw', async () => {
    const registry = new BackendRegistry()
    const refusing = async () => ({ compatible: false, reasons: ['not made for cloning'] })
    const throwing = () => Promise.reject(new Error('the check broke'))
    registry.register(scriptedBackend({ manifest: { name: 'a' }, checkCompatibility: refusing }), 'test')
    registry.register(scriptedBackend({ manifest: { name: 'b' }, checkCompatibility: throwing }), 'test')
    const { backend, reasons } = await registry.choose(target)
    assert.equal(backend, undefined)
    assert.deepEqual(reasons, ['a: not made for cloning', 'b: the check failed: the check broke'])
  })

  it('asks the next one when the check of one is never done', async () => {
    const registry = new BackendRegistry(50)
    const waiting = () => new Promise<never>(() => undefined)
    registry.register(scriptedBackend({ manifest: { name: 'waiting' }, checkCompatibility: waiting }), 'test')
    assert.deepEqual((await registry.choose(target)).reasons, [
      'waiting: the check failed: it was not done after 0.05 s',
    ])
    registry.register(scriptedBackend({ manifest: { name: 'willing' } }), 'test')
    assert.equal((await registry.choose(target)).backend?.manifest.name, 'willing')
  })

  it('says which filesystems there are backends for', async () => {
    const registry = new BackendRegistry()
    registry.register(scriptedBackend({}), 'test')
    const { reasons } = await registry.choose({ ...target, mount: { ...mount, filesystem: 'vfat' } })
    assert.match(reasons[0] ?? '', /vfat.*scripted/)
  })

  it('tells whoever has an unknown filesystem which plugins failed to load, and why', async () => {
    await using folder = await temporaryDirectory('registry')
    const registry = new BackendRegistry()
    await loadPlugins(registry, [{ module: './vfat.mjs', options: {} }], folder.path, SILENT)
    const { reasons } = await registry.choose({ ...target, mount: { ...mount, filesystem: 'vfat' } })
    assert.match(
      reasons.join(),
      /knows the filesystem vfat.*\.\/vfat\.mjs could not be loaded: Cannot find module/,
    )
  })

  it('refuses a second backend of one name, and names where it came from', () => {
    const registry = new BackendRegistry()
    registry.register(scriptedBackend({}), 'first')
    assert.throws(() => registry.register(scriptedBackend({}), 'second-module'), {
      code: 'BACKEND_DUPLICATE',
      message: /second-module calls itself scripted/,
    })
  })

  const invalid: Readonly<Record<string, readonly [unknown, RegExp]>> = {
    'no object': [null, /not an object/],
    'no manifest': [{}, /no manifest/],
    'another version': [
      scriptedBackend({ manifest: { apiVersion: 99 } }),
      /version 99 .* this program has 1/,
    ],
    'a bad name': [scriptedBackend({ manifest: { name: 'Bad Name' } }), /"Bad Name"/],
    'no filesystems': [scriptedBackend({ manifest: { filesystems: [] } }), /filesystems/],
    'no clone()': [{ ...scriptedBackend({}), clone: undefined }, /no clone\(\)/],
  }
  for (const [what, [candidate, pattern]] of Object.entries(invalid)) {
    it(`refuses a backend with ${what}`, () => {
      assert.throws(() => new BackendRegistry().register(candidate, 'somewhere'), {
        code: 'BACKEND_INVALID',
        message: pattern,
      })
    })
  }
})
