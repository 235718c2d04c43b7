import type { Manifest } from './read-manifest.ts'
import type { SnapshotDisk } from './snapshot-record.ts'

/**
 * In what a `snapshot.json` says another thing of a disk than the database, as the end of a sentence; undefined when they
 * say the same. Paths and repositories are left out: they are where the snapshot was found last.
 */
export function differenceFromManifest(disk: SnapshotDisk, manifest: Manifest): string | undefined {
  const { vmId, snapshot, name } = disk
  if (manifest.vmId !== vmId) return `is of VM ${manifest.vmId} where ${vmId} was recorded`
  const [there, recorded] = [manifest.disks.length, snapshot.disks.length]
  if (there !== recorded) return `has ${there} disks where ${recorded} were recorded`
  const same = manifest.disks.find((known) => known.name === name)
  if (same === undefined) return `lacks the disk ${name}`
  for (const key of ['size', 'inode', 'birthTimeNs'] as const) {
    if (same[key] === disk[key]) continue
    return `has ${same[key] ?? 'none'} as the ${key} of disk ${name} where ${disk[key] ?? 'none'} was recorded`
  }
  return undefined
}
