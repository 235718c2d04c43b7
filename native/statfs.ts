import { statfs } from 'node:fs/promises'

/** f_type values: include/uapi/linux/magic.h, and fs/ for OCFS2 and CIFS. */
const NAME_BY_MAGIC: ReadonlyMap<number, string> = new Map([
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x7461636f, 'ocfs2'],
  [0x6969, 'nfs'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0xef53, 'ext4'],
  [0x01021994, 'tmpfs'],
])

export interface FilesystemStatus {
  /** Of the filesystem that really holds the path; undefined when we have no name for its f_type. */
  readonly filesystem: string | undefined
  /** Bytes. */
  readonly blockSize: number
  readonly totalBytes: number
  /** Free to an ordinary user. */
  readonly availableBytes: number
}

/** statfs(2). @throws the system call's error */
export async function filesystemStatus(path: string): Promise<FilesystemStatus> {
  const { type, bsize, blocks, bavail } = await statfs(path)
  return {
    filesystem: NAME_BY_MAGIC.get(type >>> 0),
    blockSize: bsize,
    totalBytes: blocks * bsize,
    availableBytes: bavail * bsize,
  }
}
