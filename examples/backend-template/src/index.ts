import { BACKEND_API_VERSION, type BackendFactory, contentDiff, trialClone } from 'diskferry/core'
import { cloneFile, seekExtents } from 'diskferry/native'

/** Any filesystem that has reflinks and tells holes from data: its name in /proc/self/mountinfo is an option. */
const factory: BackendFactory = ({ filesystems }) => ({
  manifest: {
    name: 'reflink',
    apiVersion: BACKEND_API_VERSION,
    description: 'Any filesystem with FICLONE and SEEK_DATA; differences by content',
    filesystems: namesFrom(filesystems),
    difference: 'content',
  },

  checkCompatibility({ trialDirectory }, signal) {
    return trialClone(cloneFile, trialDirectory, undefined, signal)
  },

  clone(source, target, signal) {
    return cloneFile(source, target, signal)
  },

  extentMap(file, signal) {
    return seekExtents(file, signal)
  },

  diff(base, target, options, signal) {
    return contentDiff({ base, target, extentMap: seekExtents }, options, undefined, signal)
  },
})

function namesFrom(option: unknown): readonly string[] {
  if (Array.isArray(option) && option.length > 0 && option.every((name) => typeof name === 'string')) {
    return option
  }
  throw new Error('options.filesystems must be a list of filesystems as /proc/self/mountinfo names them')
}

export default factory
