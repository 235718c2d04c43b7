import { existsSync } from 'node:fs'
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { acquireFlock } from 'diskferry/native'
import { command } from '../../support/command.ts'
import type { Server } from './server.ts'

/** Version 4 sees this as its root. It has to be a filesystem that can be exported; the machine's root can't. */
const NFS_ROOT = '/run/machine/nfs'

const CLIENT = '127.0.0.1'
const EXPORT_OPTIONS = 'rw,no_root_squash,insecure,no_subtree_check'
const THREADS = '4'
const STARTED = '/run/machine/nfs.started'
const USED = '/run/machine/nfs-used.lock'
const STATE = '/var/lib/nfs'
const CONTROL = '/proc/fs/nfsd'
/** Least that the kernel takes. Clients of a server that comes back wait this long before they may open files. */
const GRACE_SECONDS = '10'
/**
 * The lock service for version 3 has a grace period too, of 50 s, in which version 4 gives no locks either:
 * `locks_in_grace` of fs/lockd/grace.c. The kernel makes of these the least, 3 s: `set_grace_period` of fs/lockd/svc.c.
 */
const LOCK_SERVICE = { nlm_timeout: '3', nlm_grace_period: '1' } as const

/**
 * Exports a folder below that of `startNfsServer`.
 * @param version 3 or 4, which name the export differently
 */
export async function exportByNfs(directory: string, version: 3 | 4): Promise<Server> {
  const exported = `${CLIENT}:${directory}`
  await command('exportfs', ['-o', EXPORT_OPTIONS, exported])
  return {
    source: version === 4 ? `${CLIENT}:/${basename(directory)}` : exported,
    mountOptions: [],
    pause: () => writeFile(join(CONTROL, 'threads'), '0'),
    resume: startThreads,
    async [Symbol.asyncDispose]() {
      await command('exportfs', ['-u', exported])
      // Else the server keeps files of it open, and it can't be unmounted.
      await writeFile(join(CONTROL, 'unlock_filesystem'), `${directory}\n`)
    },
  }
}

/** The lock is never given up: the kernel does that when the process ends. */
interface StartedServer {
  readonly folder: string
  readonly lock: AsyncDisposable
}

let started: Promise<StartedServer> | undefined

/**
 * One server for the whole machine, started by whichever process comes first, and used by one at a time, until that
 * ends: its tests may stop the server.
 * @returns the folder below which exports must lie
 */
export async function startNfsServer(): Promise<string> {
  started ??= start()
  return (await started).folder
}

async function start(): Promise<StartedServer> {
  const lock = await acquireFlock(USED)
  await mkdir(NFS_ROOT, { recursive: true })
  const server = { folder: NFS_ROOT, lock }
  if (existsSync(STARTED)) return server
  await command('modprobe', ['nfsd'])
  await command('mount', ['-t', 'nfsd', 'nfsd', CONTROL])
  await writeFile(join(CONTROL, 'nfsv4leasetime'), GRACE_SECONDS)
  await writeFile(join(CONTROL, 'nfsv4gracetime'), GRACE_SECONDS)
  for (const [name, value] of Object.entries(LOCK_SERVICE)) await writeFile(`/proc/sys/fs/nfs/${name}`, value)
  // The state of a server that this machine's owner runs outside is none of ours.
  await command('mount', ['-t', 'tmpfs', 'nfs-state', STATE])
  for (const name of ['v4recovery', 'sm', 'sm.bak']) await mkdir(join(STATE, name))
  await writeFile('/etc/exports', '')
  for (const name of ['etab', 'rmtab']) await writeFile(join(STATE, name), '')
  await startPortMapper()
  await command('rpc.mountd', [])
  await command('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'nfs-root', NFS_ROOT])
  await command('exportfs', ['-o', `${EXPORT_OPTIONS},fsid=0`, `${CLIENT}:${NFS_ROOT}`])
  await startThreads()
  // No client had anything open before, so none has to wait.
  await writeFile(join(CONTROL, 'v4_end_grace'), 'Y')
  await writeFile(STARTED, '')
  return server
}

/**
 * Makes the server forget whom it exports what to: that knowledge keeps the filesystem from being unmounted. Not more
 * than once a second: the kernel puts off the second flush of a second, and then for half a minute (write_flush and
 * cache_clean in net/sunrpc/cache.c).
 */
export async function flushExports(): Promise<void> {
  await command('exportfs', ['-f'])
}

/** Installing its package would make the user that it runs as. */
async function startPortMapper(): Promise<void> {
  if (!/^_rpc:/m.test(await readFile('/etc/passwd', 'utf8'))) {
    await appendFile('/etc/passwd', '_rpc:x:65500:65534::/run/rpcbind:/usr/sbin/nologin\n')
  }
  await mkdir('/run/rpcbind', { recursive: true })
  await command('rpcbind', [])
}

async function startThreads(): Promise<void> {
  await command('rpc.nfsd', [THREADS])
}
