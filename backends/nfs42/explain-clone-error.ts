import { describeError, systemCode } from 'diskferry/core'

/** What a refused CLONE means: nfs42_proc_clone() in fs/nfs/nfs42proc.c, and the server's filesystem behind it. */
export function explainCloneError(error: unknown): string {
  switch (systemCode(error)) {
    case 'EOPNOTSUPP':
      return `the NFS server or the filesystem that it exports can't clone: export an XFS with reflink=1 or a btrfs, from a server that offers NFS 4.2 (${describeError(error)})`
    case 'ESTALE':
      return `the NFS server no longer knows this mount (stale handle): unmount and mount it again (${describeError(error)})`
    case 'ETIMEDOUT':
    case 'EIO':
      return `the NFS server does not answer: check it and the network (${describeError(error)})`
    default:
      return describeError(error)
  }
}
