import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { DiskferryError } from '../../core/errors.ts'
import { VM } from './support/fake-services.ts'
import { schemaViolation } from './support/schema-check.ts'
import { ApiServer } from './support/server.ts'

const EXPECTED = {
  friendly_name: 'exämple "vm"',
  name: VM.name,
  uuid: VM.uuid,
  disks: [
    {
      name: 'system.img',
      path: '/OVS/Repositories/r1/VirtualDisks/system.img',
      device_name: 'xvda',
      snapshot_compatible: true,
      mode: 'w',
      size: Number.MAX_SAFE_INTEGER,
      backend: 'xfs',
      incompatible_reason: null,
    },
    {
      name: 'lun',
      path: '/dev/mapper/3600',
      device_name: 'xvdb',
      snapshot_compatible: false,
      mode: 'w!',
      size: null,
      backend: null,
      incompatible_reason: 'A phy: disk cannot be cloned.',
    },
  ],
  snapshot_compatible: false,
  snapshots: ['snap-1', 'snap-2'],
}

describe('VMs, repositories, backends and health', () => {
  let server: ApiServer

  before(async () => {
    server = await ApiServer.start()
  })
  after(() => server[Symbol.asyncDispose]())

  it('GET /api/v1/vms gives every field of every VM', async () => {
    const answer = await server.send('/api/v1/vms')
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
    assert.deepEqual(answer.json(), [EXPECTED])
    assert.equal(
      await schemaViolation({ type: 'array', items: { $ref: 'Vm#' } }, answer.body.toString()),
      undefined,
    )
  })

  it('GET /api/v1/vms/{vm} gives one', async () => {
    assert.deepEqual((await server.send(`/api/v1/vms/${VM.name}`)).json(), EXPECTED)
  })

  it('no VM is an empty array, and so are no disks and no snapshots', async () => {
    server.fake.vms = []
    assert.equal((await server.send('/api/v1/vms')).body.toString(), '[]')
    server.fake.vms = [{ ...VM, disks: [], snapshotIds: [] }]
    const [vm] = (await server.send('/api/v1/vms')).json() as [{ disks: unknown; snapshots: unknown }]
    assert.deepEqual([vm.disks, vm.snapshots], [[], []])
    server.fake.vms = [VM]
  })

  it('GET /api/v1/repositories gives reasons and problems', async () => {
    assert.deepEqual((await server.send('/api/v1/repositories')).json(), [
      {
        id: 'r1',
        alias: 'first',
        mount_point: '/OVS/Repositories/r1',
        filesystem: 'xfs',
        source: '/dev/sdb1',
        backend: null,
        compatible: false,
        reasons: ['XFS was made without reflink=1.'],
        problems: ['VirtualMachines/x/vm.cfg is not readable.'],
      },
    ])
  })

  it('GET /api/v1/backends gives the manifests', async () => {
    assert.deepEqual((await server.send('/api/v1/backends')).json(), [
      { name: 'xfs', api_version: 1, description: 'XFS', filesystems: ['xfs'], difference: 'physical' },
    ])
  })

  it('GET /healthz and /readyz say that all is well', async () => {
    assert.deepEqual((await server.send('/healthz', { authorization: null })).json(), { status: 'ok' })
    assert.deepEqual((await server.send('/readyz', { authorization: null })).json(), { status: 'ready' })
  })

  it('GET /readyz is 503 for any reason, and tells no path to strangers', async () => {
    const failures = [
      new DiskferryError('STORE_FAILED', '/var/lib/diskferry.db is not readable'),
      new DiskferryError('INVENTORY_UNREADABLE', '/etc/ovs-agent/db is not readable'),
      new Error('/var/lib/diskferry.db'),
    ]
    for (const failure of failures) {
      server.fake.before = async () => {
        throw failure
      }
      const answer = await server.send('/readyz', { authorization: null })
      assert.equal(answer.status, 503)
      assert.equal(answer.refusal().error, 'Service Unavailable')
      assert.doesNotMatch(answer.refusal().details, /\/var|\/etc/)
    }
    assert.equal((await server.send('/healthz', { authorization: null })).status, 200)
    server.fake.before = async () => undefined
  })

  it('the description at /docs/json names every schema that it refers to', async () => {
    const { paths, components } = (await server.send('/docs/json')).json() as {
      paths: object
      components: { schemas: Record<string, unknown> }
    }
    const text = JSON.stringify(paths)
    for (const name of ['Error', 'Vm', 'Snapshot', 'Repository', 'Backend']) {
      assert.ok(text.includes(`"#/components/schemas/${name}"`), name)
      assert.ok(name in components.schemas, name)
    }
    assert.doesNotMatch(text, /"\$ref":"(?!#\/components\/schemas\/)/)
  })
})
