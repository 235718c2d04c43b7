import { open } from 'node:fs/promises'
import type { ApiServices } from '../../../api/app.ts'
import type { Audit } from '../../../core/audit/audit.ts'
import { DiskferryError } from '../../../core/errors.ts'
import type { Lease } from '../../../core/leases/lease.ts'
import type {
  Chunk,
  DiskMap,
  MapOptions,
  OpenDisk,
  RepositoryView,
  SnapshotMap,
  VmView,
} from '../../../core/services.ts'
import { Changes } from './changes.ts'

/** One call that a route made: the method, its arguments without the signal, and the signal. */
export interface Call {
  readonly method: string
  readonly args: readonly unknown[]
  readonly signal: AbortSignal | undefined
}

export interface DiskStatistics {
  opened: number
  closed: number
  reads: number
}

export const VM: VmView = {
  name: '0004fb0000060000ccaf98a0baa2c186',
  uuid: '0004fb00-0006-0000-ccaf-98a0baa2c186',
  friendlyName: 'exämple "vm"',
  compatible: false,
  snapshotIds: ['snap-1', 'snap-2'],
  disks: [
    {
      name: 'system.img',
      path: '/OVS/Repositories/r1/VirtualDisks/system.img',
      deviceName: 'xvda',
      mode: 'w',
      compatible: true,
      size: 9007199254740991,
      backend: 'xfs',
    },
    {
      name: 'lun',
      path: '/dev/mapper/3600',
      deviceName: 'xvdb',
      mode: 'w!',
      compatible: false,
      incompatibleReason: 'A phy: disk cannot be cloned.',
      size: null,
      backend: null,
    },
  ],
}

export const REPOSITORY: RepositoryView = {
  id: 'r1',
  alias: 'first',
  mountPoint: '/OVS/Repositories/r1',
  filesystem: 'xfs',
  source: '/dev/sdb1',
  backend: null,
  compatible: false,
  reasons: ['XFS was made without reflink=1.'],
  problems: ['VirtualMachines/x/vm.cfg is not readable.'],
}

export const CREATED_AT = '2024-02-29T12:34:56.789Z'

export const LEASE: Lease = {
  holder: 'weekly chain',
  takenAt: CREATED_AT,
  expiresAt: '2024-03-01T12:34:56.789Z',
}

const CHUNKS: readonly Chunk[] = [
  { start: 0, length: 4096, physicalStart: 8192, zero: false },
  { start: 4096, length: 9007199254736895, physicalStart: 0, zero: true },
]

export function snapshotMap(
  id: string,
  vmId: string,
  disks: readonly Partial<DiskMap>[] = [{}],
): SnapshotMap {
  return {
    id,
    vmId,
    createdAt: CREATED_AT,
    consistency: 'crash',
    consistencyReason: null,
    stallMs: 12.345,
    skewMs: 0,
    stallForecastMs: null,
    lease: null,
    disks: disks.map((disk) => ({
      name: 'system.img',
      parentPath: '/OVS/Repositories/r1/VirtualDisks/system.img',
      path: `/OVS/Repositories/r1/CoriolisSnapshots/${id}/system.img`,
      repositoryMountPoint: '/OVS/Repositories/r1',
      size: 9007199254740991,
      backend: 'xfs',
      chunks: CHUNKS,
      ...disk,
    })),
  }
}

export function runningAudit(vmId: string, snapshotId: string): Audit {
  return {
    vmId,
    snapshotId,
    compareTo: 'snap-1',
    state: 'running',
    reason: null,
    startedAt: CREATED_AT,
    finishedAt: null,
    rate: 104_857_600,
    sample: 1000,
    seed: 7,
    blocks: 262_144,
    blocksToRead: 1001,
    blocksRead: 17,
    unnoticedBytes: null,
    mismatchBytes: 4096,
    mismatches: [
      {
        disk: 'system.img',
        path: `/OVS/Repositories/r1/CoriolisSnapshots/${snapshotId}/system.img`,
        start: 8192,
        length: 4096,
        told: 'unchanged',
        backend: 'xfs',
      },
    ],
    pid: 4711,
  }
}

/** In-memory services over real files. Each part can be replaced by a test. */
export class FakeServices {
  readonly changes = new Changes()
  readonly calls: Call[] = []
  readonly statistics: DiskStatistics = { opened: 0, closed: 0, reads: 0 }
  readonly files = new Map<string, string>()
  vms: readonly VmView[] = [VM]
  snapshots = new Map<string, SnapshotMap>([
    ['snap-1', snapshotMap('snap-1', VM.name)],
    ['snap-2', snapshotMap('snap-2', VM.name)],
  ])
  /** Runs in every call after it was recorded; what it throws is what the service throws. */
  before: (call: Call) => Promise<void> = async () => undefined
  beforeRead: () => Promise<void> = async () => undefined

  async #record(method: string, args: readonly unknown[], signal?: AbortSignal): Promise<void> {
    const call = { method, args, signal }
    this.calls.push(call)
    await this.before(call)
  }

  #vm(id: string): VmView {
    const vm = this.vms.find((one) => one.name === id)
    if (vm === undefined) throw new DiskferryError('VM_NOT_FOUND', `There is no VM ${id}.`)
    return vm
  }

  #snapshot(vmId: string, id: string): SnapshotMap {
    const snapshot = this.snapshots.get(id)
    if (snapshot?.vmId === vmId) return snapshot
    throw new DiskferryError('SNAPSHOT_NOT_FOUND', `VM ${vmId} has no snapshot ${id}.`)
  }

  async #openDisk(vmId: string, id: string, name: string): Promise<OpenDisk> {
    await this.#record('openDisk', [vmId, id, name])
    this.#snapshot(vmId, id)
    const path = this.files.get(name)
    if (path === undefined) throw new DiskferryError('DISK_NOT_FOUND', `${id} has no disk ${name}.`)
    const { statistics } = this
    const handle = await open(path)
    const { size } = await handle.stat()
    statistics.opened += 1
    this.changes.notify()
    return {
      size,
      etag: `${id}-${size}`,
      createdAt: CREATED_AT,
      read: async (buffer, position) => {
        statistics.reads += 1
        await this.beforeRead()
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, position)
        return bytesRead
      },
      [Symbol.asyncDispose]: async () => {
        await handle.close()
        statistics.closed += 1
        this.changes.notify()
      },
    }
  }

  readonly services: ApiServices = {
    virtualMachines: {
      list: async (signal) => {
        await this.#record('vms.list', [], signal)
        return this.vms
      },
      get: async (id, signal) => {
        await this.#record('vms.get', [id], signal)
        return this.#vm(id)
      },
    },
    repositories: {
      list: async (signal) => {
        await this.#record('repositories.list', [], signal)
        return [REPOSITORY]
      },
      backends: () => [
        { name: 'xfs', apiVersion: 1, description: 'XFS', filesystems: ['xfs'], difference: 'physical' },
      ],
      problems: async () => [],
    },
    snapshots: {
      list: async (vmId, options: MapOptions, signal) => {
        await this.#record('snapshots.list', [vmId, options], signal)
        this.#vm(vmId)
        return [...this.snapshots.values()]
      },
      create: async (vmId, options: MapOptions, signal) => {
        await this.#record('snapshots.create', [vmId, options], signal)
        this.#vm(vmId)
        return snapshotMap('snap-3', vmId)
      },
      get: async (vmId, id, options: MapOptions, signal) => {
        await this.#record('snapshots.get', [vmId, id, options], signal)
        return this.#snapshot(vmId, id)
      },
      delete: (vmId, id, options, signal) => this.#record('snapshots.delete', [vmId, id, options], signal),
      purge: (vmId, options, signal) => this.#record('snapshots.purge', [vmId, options], signal),
      openDisk: (vmId, id, name) => this.#openDisk(vmId, id, name),
    },
    audits: {
      start: async (vmId, id, options) => {
        await this.#record('audits.start', [vmId, id, options])
        return runningAudit(vmId, id)
      },
      get: async (vmId, id) => {
        await this.#record('audits.get', [vmId, id])
        return runningAudit(vmId, id)
      },
      abort: async (vmId, id) => {
        await this.#record('audits.abort', [vmId, id])
        return { ...runningAudit(vmId, id), state: 'aborted', reason: 'it was aborted on request' }
      },
    },
    metrics: { render: async () => '# TYPE one counter\none 1\n' },
    leases: {
      get: async (vmId, id) => {
        await this.#record('leases.get', [vmId, id])
        return this.#snapshot(vmId, id).lease ?? LEASE
      },
      take: async (vmId, id, request, signal) => {
        await this.#record('leases.take', [vmId, id, request], signal)
        return { ...LEASE, holder: request.holder }
      },
      release: (vmId, id, holder, signal) => this.#record('leases.release', [vmId, id, holder], signal),
    },
    readiness: { check: () => this.#record('readiness.check', []) },
    authenticator: {
      authenticate: async (username, password, signal) => {
        await this.#record('authenticate', [username, password], signal)
        if (password === 'SuperSecret') return
        throw new DiskferryError('LOGIN_REFUSED', 'The user name or the password is wrong.')
      },
    },
  }
}
