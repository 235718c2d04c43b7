import { describeError, systemCode } from 'diskferry/core'

/** What a refused reflink means on OCFS2: fs/ocfs2/refcounttree.c. */
export function explainCloneError(error: unknown): string {
  if (systemCode(error) === 'EOPNOTSUPP') {
    return `OCFS2 was made without the refcount feature: add it with tunefs.ocfs2 --fs-features=refcount while it is unmounted on every host (${describeError(error)})`
  }
  return describeError(error)
}
