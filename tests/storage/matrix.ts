/** The filesystems that storage tests run on, as data. */

export type StorageName =
  | 'xfs'
  | 'xfs-1k'
  | 'btrfs'
  | 'btrfs-compressed'
  | 'btrfs-nodatacow'
  | 'xfs-noreflink'
  | 'ext4'

export interface StorageKind {
  readonly name: StorageName
  /** As mountinfo names it. */
  readonly filesystem: string
  /** Program and options; the image is appended. */
  readonly mkfs: readonly [string, ...string[]]
  readonly mountOptions: readonly string[]
  /** Debian packages with its tools. */
  readonly packages: readonly string[]
  /** Can Diskferry take snapshots on it? The others prove that it says why not. */
  readonly reflink: boolean
}

const XFS = { filesystem: 'xfs', packages: ['xfsprogs'] } as const
const BTRFS = { filesystem: 'btrfs', packages: ['btrfs-progs'], mkfs: ['mkfs.btrfs', '--quiet'] } as const

export const STORAGE: readonly StorageKind[] = [
  { ...XFS, name: 'xfs', mkfs: ['mkfs.xfs', '-q', '-m', 'reflink=1'], mountOptions: [], reflink: true },
  {
    ...XFS,
    name: 'xfs-1k',
    mkfs: ['mkfs.xfs', '-q', '-m', 'reflink=1', '-b', 'size=1024'],
    mountOptions: [],
    reflink: true,
  },
  { ...BTRFS, name: 'btrfs', mountOptions: [], reflink: true },
  { ...BTRFS, name: 'btrfs-compressed', mountOptions: ['compress-force=zstd'], reflink: true },
  { ...BTRFS, name: 'btrfs-nodatacow', mountOptions: ['nodatacow'], reflink: true },
  {
    ...XFS,
    name: 'xfs-noreflink',
    mkfs: ['mkfs.xfs', '-q', '-m', 'reflink=0'],
    mountOptions: [],
    reflink: false,
  },
  {
    name: 'ext4',
    filesystem: 'ext4',
    mkfs: ['mkfs.ext4', '-q', '-F'],
    mountOptions: [],
    packages: ['e2fsprogs'],
    reflink: false,
  },
]

/** Those on which snapshots work. */
export const REFLINK_STORAGE: readonly StorageKind[] = STORAGE.filter((kind) => kind.reflink)

/** @throws for a name that the matrix lacks. */
export function storageKind(name: string): StorageKind {
  const kind = STORAGE.find((candidate) => candidate.name === name)
  if (kind === undefined) {
    throw new Error(
      `No storage is called ${name}; there are ${STORAGE.map((known) => known.name).join(', ')}.`,
    )
  }
  return kind
}

/**
 * The names in `REQUIRE_STORAGE` (commas between them): where one of these cannot be mounted the test fails
 * instead of being skipped.
 * @throws for a name that the matrix lacks, which would require nothing.
 */
export function requiredStorage(value: string | undefined): ReadonlySet<StorageName> {
  const names = (value ?? '').split(',').filter((name) => name.trim() !== '')
  return new Set(names.map((name) => storageKind(name.trim()).name))
}
