import type { Mount } from 'diskferry/core'

/** Why a mount's protocol has no CLONE; undefined for 4.2 and later. The version is an option in mountinfo: nfs(5). */
export function tooOldReason({ mountPoint, options }: Mount): string | undefined {
  const version = options.find((option) => option.startsWith('vers='))?.slice('vers='.length) ?? ''
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > 4 || (major === 4 && minor >= 2)) return undefined
  return `'${mountPoint}' is mounted with NFS ${version || 'of an unknown version'}; cloning needs 4.2: mount it with -o vers=4.2, and have the server offer it`
}
