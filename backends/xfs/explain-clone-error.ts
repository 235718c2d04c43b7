import { describeError, systemCode } from 'diskferry/core'

/** What FICLONE's refusal means on XFS: ioctl_ficlone(2), fs/xfs/xfs_reflink.c. */
export function explainCloneError(error: unknown): string {
  const code = systemCode(error)
  if (code === 'EOPNOTSUPP' || code === 'EINVAL') {
    return `XFS was made without reflink=1 (check with xfs_info): make it anew with mkfs.xfs -m reflink=1 and copy the disks over (${describeError(error)})`
  }
  return describeError(error)
}
