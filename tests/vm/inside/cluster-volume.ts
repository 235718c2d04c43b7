import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from '../../support/command.ts'
import { CLUSTER_HOSTS, HOST_VARIABLE } from './cluster-hosts.ts'

const CONFIGFS = '/sys/kernel/config'
const CLUSTER = 'ferry'
const PORT = '7777'
const DEVICE = '/dev/ubda'
const MOUNT = '/mnt/diskferry/shared'
/**
 * The others look for the heartbeat of a host every two seconds; it is dead when they missed it so many times, and ends
 * itself one time before. The default is 31. One that is much smaller than this ends hosts of a test that is merely slow.
 */
const DEAD_THRESHOLD = 10
/** `[INODE_ALLOC_REPAIR] ...`: fsck.ocfs2.checks(8) */
const FAULT = /^\[[A-Z0-9_]+\] .*$/gm

/** What o2cb(8) makes of its configuration, at `register-cluster`. mount.ocfs2 begins the heartbeat, on the volume itself. */
export async function joinCluster(): Promise<void> {
  await command('mount', ['-t', 'configfs', 'configfs', CONFIGFS])
  await writeFile('/sys/fs/ocfs2/cluster_stack', 'o2cb\n')
  const cluster = join(CONFIGFS, 'cluster', CLUSTER)
  await mkdir(cluster)
  await writeFile(join(cluster, 'heartbeat/dead_threshold'), String(DEAD_THRESHOLD))
  for (const [number, { hostname, address }] of CLUSTER_HOSTS.entries()) {
    const node = join(cluster, 'node', hostname)
    await mkdir(node)
    // In this order: a node without port and address gets no number, and one without a number is not the own one.
    await writeFile(join(node, 'ipv4_port'), PORT)
    await writeFile(join(node, 'ipv4_address'), address)
    await writeFile(join(node, 'num'), String(number))
    if (String(number) === process.env[HOST_VARIABLE]) await writeFile(join(node, 'local'), '1')
  }
}

/** Makes the OCFS2 volume, once for all hosts, with clusters of 1 MiB as the hypervisors have them. */
export async function makeClusterVolume(): Promise<void> {
  const place = ['-q', '-x', '-N', String(CLUSTER_HOSTS.length), '-b', '4K', '-C', '1M', '-J', 'size=16M']
  const features = ['--fs-features=refcount,sparse,unwritten,inline-data']
  const stack = ['--cluster-stack=o2cb', `--cluster-name=${CLUSTER}`]
  await command('mkfs.ocfs2', [...place, ...features, ...stack, DEVICE])
}

/** @returns the mount point, the same on all hosts */
export async function mountClusterVolume(): Promise<string> {
  await mkdir(MOUNT, { recursive: true })
  await command('mount', ['-t', 'ocfs2', DEVICE, MOUNT])
  return MOUNT
}

/** Unmounts it. @throws with what fsck finds wrong; nothing is mended */
export async function checkClusterVolume(mount: string): Promise<void> {
  await command('umount', [mount])
  const report = await command('fsck.ocfs2', ['-f', '-n', DEVICE])
  // It ends with 0 all the same when it was told to mend nothing.
  const faults = report.match(FAULT) ?? []
  if (faults.length > 0) throw new Error(faults.join('\n'))
}
