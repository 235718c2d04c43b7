/** The filesystems that the test machine can mount, as data. */

export type MachineKindName =
  | 'xfs'
  | 'btrfs'
  | 'ocfs2'
  | 'ocfs2-1m'
  | 'ocfs2-norefcount'
  | 'nfs42'
  | 'nfs42-ext4'
  | 'nfs41'
  | 'nfs3'
  | 'cifs'
  | 'cifs-ext4'

export interface MachineKind {
  readonly name: MachineKindName
  /** As mountinfo names what the tests see. */
  readonly filesystem: string
  /** Can Diskferry take snapshots on it? The others prove that it says why not. */
  readonly reflink: boolean
  /** What lies on the disk: the filesystem itself, or what the server stores its files on. */
  readonly disk: DiskFormat
  /** How it gets to the client; left out for a filesystem of this machine. */
  readonly server?: 'nfs' | 'smb'
  /** Of the mount that the tests see. */
  readonly mountOptions: readonly string[]
  /** Lines for the share of an SMB server. */
  readonly shareOptions?: readonly string[]
}

export interface DiskFormat {
  readonly filesystem: string
  /** Program and options; the device is appended. */
  readonly mkfs: readonly [string, ...string[]]
}

const XFS: DiskFormat = { filesystem: 'xfs', mkfs: ['mkfs.xfs', '-q', '-f', '-m', 'reflink=1'] }
const BTRFS: DiskFormat = { filesystem: 'btrfs', mkfs: ['mkfs.btrfs', '--quiet', '--force'] }
const EXT4: DiskFormat = { filesystem: 'ext4', mkfs: ['mkfs.ext4', '-q', '-F'] }

function ocfs2(features: string, cluster: string): DiskFormat {
  const options = ['-q', '-x', '-M', 'local', `--fs-features=${features}`, '-b', '4K', '-C', cluster]
  return { filesystem: 'ocfs2', mkfs: ['mkfs.ocfs2', ...options] }
}

/** Features as Debian's mkfs knows them; the hypervisors' volumes have a cluster size of 1 MiB. */
const REFCOUNT = 'refcount,sparse,unwritten,inline-data'

const LOCAL = { reflink: true, mountOptions: [] } as const
const OCFS2 = { ...LOCAL, filesystem: 'ocfs2' } as const
const NFS = { filesystem: 'nfs4', server: 'nfs', disk: XFS, reflink: false } as const
const CIFS = { filesystem: 'cifs', server: 'smb', mountOptions: ['vers=3.1.1'] } as const

export const MACHINE_KINDS: readonly MachineKind[] = [
  { ...LOCAL, name: 'xfs', filesystem: 'xfs', disk: XFS },
  { ...LOCAL, name: 'btrfs', filesystem: 'btrfs', disk: BTRFS },
  { ...OCFS2, name: 'ocfs2', disk: ocfs2(REFCOUNT, '4K') },
  { ...OCFS2, name: 'ocfs2-1m', disk: ocfs2(REFCOUNT, '1M') },
  { ...OCFS2, name: 'ocfs2-norefcount', disk: ocfs2('norefcount,sparse,unwritten', '4K'), reflink: false },
  { ...NFS, name: 'nfs42', mountOptions: ['vers=4.2'], reflink: true },
  { ...NFS, name: 'nfs42-ext4', mountOptions: ['vers=4.2'], disk: EXT4 },
  { ...NFS, name: 'nfs41', mountOptions: ['vers=4.1'] },
  { ...NFS, name: 'nfs3', filesystem: 'nfs', mountOptions: ['vers=3', 'nolock'] },
  { ...CIFS, name: 'cifs', disk: BTRFS, shareOptions: ['vfs objects = btrfs'], reflink: true },
  { ...CIFS, name: 'cifs-ext4', disk: EXT4, reflink: false },
]

/** Those on which snapshots work. */
export const REFLINK_MACHINE_KINDS: readonly MachineKind[] = MACHINE_KINDS.filter((kind) => kind.reflink)

/** @throws for a name that the table lacks. */
export function machineKind(name: string): MachineKind {
  const kind = MACHINE_KINDS.find((candidate) => candidate.name === name)
  if (kind === undefined) {
    throw new Error(
      `No filesystem of the test machine is called ${name}; there are ${MACHINE_KINDS.map((known) => known.name).join(', ')}.`,
    )
  }
  return kind
}
