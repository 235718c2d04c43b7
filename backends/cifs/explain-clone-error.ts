import { describeError, systemCode } from 'diskferry/core'

/** What a refused clone means: smb2_duplicate_extents() in fs/smb/client/smb2ops.c. */
export function explainCloneError(error: unknown): string {
  switch (systemCode(error)) {
    case 'EOPNOTSUPP':
    case 'EINVAL':
      return `the SMB server does not offer duplicate-extents for this share: with Samba, share a btrfs with "vfs objects = btrfs"; with Windows, a ReFS volume (${describeError(error)})`
    case 'EAGAIN':
    case 'EHOSTDOWN':
    case 'ETIMEDOUT':
    case 'EIO':
      return `the SMB server does not answer: check it and the network (${describeError(error)})`
    default:
      return describeError(error)
  }
}
