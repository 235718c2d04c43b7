import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { StaticInventory } from '../../../inventory/static/static-inventory.ts'

const VM = { name: 'vm-1', uuid: 'u-1', friendlyName: 'Web server' }

describe('StaticInventory', () => {
  it('lists what the configuration names', async () => {
    const inventory = new StaticInventory({
      repositories: [{ id: 'one', mountPoint: '/srv/one' }],
      vms: [
        {
          ...VM,
          disks: [
            { path: '/srv/one/a, b:c.img', deviceName: 'xvda', mode: 'w' },
            { path: '/srv/one/x.iso', deviceName: 'xvdb:cdrom', mode: 'r' },
            { path: 'phy:/dev/sdb', deviceName: 'xvdc', mode: 'w!' },
          ],
        },
      ],
    })
    assert.equal(inventory.name, 'static')
    assert.deepEqual(await inventory.read(), {
      repositories: [{ id: 'one', mountPoint: '/srv/one', alias: '' }],
      vms: [
        {
          ...VM,
          disks: [
            { scheme: 'file', path: '/srv/one/a, b:c.img', deviceName: 'xvda', cdrom: false, mode: 'w' },
            { scheme: 'file', path: '/srv/one/x.iso', deviceName: 'xvdb', cdrom: true, mode: 'r' },
            { scheme: 'phy', path: '/dev/sdb', deviceName: 'xvdc', cdrom: false, mode: 'w!' },
          ],
        },
      ],
      problems: [],
    })
  })

  it('refuses a device or a mode that it cannot use, naming the machine', () => {
    for (const wrong of [{ deviceName: 'xv/da' }, { deviceName: 'xvda:floppy' }, { mode: 'x' }]) {
      const disk = { path: '/srv/a.img', deviceName: 'xvda', mode: 'w', ...wrong }
      assert.throws(() => new StaticInventory({ repositories: [], vms: [{ ...VM, disks: [disk] }] }), {
        code: 'CONFIG_INVALID',
        message: /VM vm-1, disk \/srv\/a\.img: (device_name|mode) /,
      })
    }
  })
})
