import { closeSync, openSync } from 'node:fs'
import { stat, unlink, writeFile } from 'node:fs/promises'
import { contentDiff, type StorageBackend } from 'diskferry/core'
import { answer, type BrokenBackend, withClone, withExtents, withRanges } from './break-backend.ts'
import { altered } from './support.ts'

export const BROKEN_CONDUCT: readonly BrokenBackend[] = [
  {
    what: 'leaks a descriptor when a map is left early',
    breakIt: (honest) =>
      altered(honest, {
        async *extentMap(file, signal) {
          const descriptor = openSync(file, 'r')
          yield* honest.extentMap(file, signal)
          closeSync(descriptor)
        },
      }),
    fails: 'a map or a difference that is left early closes what it opened',
    says: /after extentMap\(\), left after the first batch, 5 times, these are open: .*target/,
  },
  {
    what: 'leaks a descriptor with every difference',
    breakIt: (honest) =>
      altered(honest, {
        async diff(base, target, options, signal) {
          openSync(base, 'r')
          return honest.diff(base, target, options, signal)
        },
      }),
    fails: 'a difference tells an overwritten block',
    says: /4? ?descriptors were left open: .*base/,
  },
  {
    what: 'leaks a descriptor when a clone fails',
    breakIt: (honest) =>
      altered(honest, {
        async clone(source, target, signal) {
          const file = openSync(source, 'r')
          await honest.clone(source, target, signal)
          closeSync(file)
        },
      }),
    fails: 'an operation that fails closes what it opened',
    says: /after clone\(\) onto an existing target/,
  },
  {
    what: 'ignores aborts of a clone',
    breakIt: (honest) => altered(honest, { clone: (source, target) => honest.clone(source, target) }),
    fails: 'a clone that was aborted before it began fails, and leaves nothing',
    says: /made a clone all the same/,
  },
  {
    what: 'ignores aborts of a map',
    breakIt: (honest) => altered(honest, { extentMap: (file) => honest.extentMap(file) }),
    fails: 'a map ends with an error soon after it is aborted',
    says: /gave the whole map all the same/,
  },
  {
    what: 'looks at the signal of a map only at the start',
    breakIt: (honest) =>
      altered(honest, {
        async *extentMap(file, signal) {
          signal?.throwIfAborted()
          for await (const batch of honest.extentMap(file)) for (const extent of batch) yield [extent]
        },
      }),
    fails: 'a map ends with an error soon after it is aborted',
    says: /went on for \d+ batches after it was aborted/,
  },
  {
    what: 'looks at the signal of a difference only at the start',
    breakIt: (honest) =>
      altered(honest, {
        async diff(base, target, options, signal) {
          signal?.throwIfAborted()
          return honest.diff(base, target, options)
        },
      }),
    fails: 'a difference ends with an error soon after it is aborted',
    says: /aborted as soon as it was called, and gave the whole difference/,
  },
  {
    what: 'deletes the target of a clone that was aborted too late, but not its working file',
    breakIt: (honest) =>
      altered(honest, {
        async clone(source, target, signal) {
          signal?.throwIfAborted()
          await writeFile(`${target}.part`, '')
          await honest.clone(source, target, signal)
          await unlink(`${target}.part`)
        },
      }),
    fails: 'a clone that is aborted while it runs leaves the target whole or absent, and nothing else',
    says: /clone\.part/,
  },
  {
    what: 'takes a missing file for an empty one',
    breakIt: (honest) =>
      altered(honest, {
        async *extentMap(file, signal) {
          if (await stat(file).catch(() => undefined)) yield* honest.extentMap(file, signal)
        },
      }),
    fails: 'a missing file is an error, whichever operation meets it',
    says: /a map of a missing file was given/,
  },
  {
    what: 'remembers in one instance what another one needs',
    breakIt: (honest) => {
      const known = new Set<string>()
      return altered(honest, {
        async clone(source, target, signal) {
          await honest.clone(source, target, signal)
          known.add(target)
        },
        async diff(base, target, options, signal) {
          return known.has(base) ? honest.diff(base, target, options, signal) : answer([])
        },
      })
    },
    fails: 'another instance of the backend knows as much: nothing is held between calls',
    says: /a change was missed/,
  },
]

export const LYING_MANIFESTS: readonly BrokenBackend[] = [
  {
    what: 'declares addresses, but compares by content',
    breakIt: (honest) =>
      altered(honest, {
        diff: (base, target, options, signal) =>
          contentDiff({ base, target, extentMap: honest.extentMap.bind(honest) }, options, undefined, signal),
      }),
    fails: 'differences are found in the way that the manifest declares',
    says: /declares differences by physical, but two plain clones were compared by content/,
  },
  {
    what: 'declares content, but compares by address',
    breakIt: (honest) => altered(honest, { manifest: { ...honest.manifest, difference: 'content' } }),
    fails: 'differences are found in the way that the manifest declares',
    says: /declares differences by content, but two plain clones were compared by physical/,
  },
  {
    what: 'declares addresses, but gives none',
    breakIt: withExtents((extents) => extents.map((extent) => ({ ...extent, physicalStart: null }))),
    fails: 'differences are found in the way that the manifest declares',
    says: /declares differences by address, but the plain extent at 0 has none/,
  },
  {
    what: 'names another filesystem',
    breakIt: (honest) => altered(honest, { manifest: { ...honest.manifest, filesystems: ['ext4'] } }),
    fails: 'the manifest names the filesystem of the mount',
    says: /is xfs, and the manifest names ext4/,
  },
  {
    what: 'is written for another version of the contract',
    breakIt: (honest) => altered(honest, { manifest: { ...honest.manifest, apiVersion: 2 } }),
    fails: 'the manifest and the four operations have the shape that the contract asks for',
    says: /apiVersion is not that of the contract/,
  },
  {
    what: 'excuses a feature that the contract does not know',
    breakIt: (honest) => {
      const unsupported = { everything: 'it is hard' } as NonNullable<
        StorageBackend['manifest']['unsupported']
      >
      return altered(honest, { manifest: { ...honest.manifest, unsupported } })
    },
    fails: 'the manifest and the four operations have the shape that the contract asks for',
    says: /unsupported names "everything"/,
  },
  {
    what: 'finds every mount compatible',
    breakIt: (honest) =>
      altered(honest, { checkCompatibility: async () => ({ compatible: true, reasons: [] }) }),
    fails:
      'checkCompatibility() refuses a filesystem without reflinks, with reasons, and leaves nothing behind',
    says: /compatible, which makes no reflinks/,
  },
  {
    what: 'finds a good mount incompatible',
    breakIt: (honest) =>
      altered(honest, { checkCompatibility: async () => ({ compatible: false, reasons: ['a bad day'] }) }),
    fails: 'checkCompatibility() finds the mount compatible, and leaves nothing behind',
    says: /it says: a bad day/,
  },
  {
    what: 'leaves the trial files of its check',
    breakIt: (honest) =>
      altered(honest, {
        async checkCompatibility(target, signal) {
          await writeFile(`${target.trialDirectory}/trial`, '')
          return honest.checkCompatibility(target, signal)
        },
      }),
    fails: 'checkCompatibility() finds the mount compatible, and leaves nothing behind',
    says: /these trial files were left in the folder/,
  },
]

/** Wrong in everything that one operation does: between them they fail what no finer fault fails. */
export const WORTHLESS: readonly Pick<BrokenBackend, 'what' | 'breakIt'>[] = [
  { what: 'never tells a difference', breakIt: withRanges(() => []) },
  {
    what: 'calls every disk zero',
    breakIt: (honest) =>
      altered(honest, {
        async diff(_base, target) {
          const { size } = await stat(target)
          return answer(size === 0 ? [] : [{ start: 0, length: size, kind: 'zero' }])
        },
      }),
  },
  { what: 'has empty maps', breakIt: withExtents(() => []) },
  {
    what: 'makes empty clones',
    breakIt: withClone((_source, target) => writeFile(target, '', { flag: 'wx' })),
  },
  { what: 'never clones', breakIt: withClone(() => Promise.reject(new Error('not today'))) },
]
