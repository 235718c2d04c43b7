import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseVmConfig } from '../../../inventory/ovs-agent/vm-config.ts'

const PATH = '/OVS/Repositories/1/VirtualMachines/2/vm.cfg'

function parse(source: string) {
  return parseVmConfig(Buffer.from(source), PATH)
}

function refuses(source: string, message: RegExp): void {
  assert.throws(
    () => parse(source),
    (error: { code?: string; message: string }) => {
      assert.equal(error.code, 'VM_CONFIG_INVALID')
      assert.ok(error.message.startsWith(PATH), error.message)
      assert.match(error.message, message)
      return true
    },
  )
}

describe('parseVmConfig', () => {
  it('reads a vm.cfg as the manager writes it', () => {
    const vm = parse(`vif = ['mac=00:21:f6:00:00:01,bridge=10e1d2']
OVM_simple_name = 'example-vm'
vnclisten = '127.0.0.1'
disk = ['file:/OVS/Repositories/1/VirtualDisks/a.img,xvda,w', 'file:/OVS/Repositories/1/ISOs/b.iso,xvdb:cdrom,r']
bootargs = ''
uuid = '0004fb00-0006-0000-1234-56789abcdef0'
on_reboot = 'restart'
cpu_weight = 27500
memory = 1024
cpu_cap = 0
maxvcpus = 1
OVM_high_availability = False
maxmem = 1024
OVM_description = ''
on_poweroff = 'destroy'
on_crash = 'restart'
bootloader = '/usr/bin/pygrub'
name = '0004fb00000600001234567890abcdef'
guest_os_type = 'linux'
vfb = ['type=vnc,vncunused=1,vnclisten=127.0.0.1,keymap=en-us']
vcpus = 1
OVM_os_type = 'Oracle Linux 7'
OVM_cpu_compat_group = ''
OVM_domain_type = 'xen_pvm'
`)
    assert.deepEqual(vm, {
      name: '0004fb00000600001234567890abcdef',
      uuid: '0004fb00-0006-0000-1234-56789abcdef0',
      friendlyName: 'example-vm',
      disks: [
        {
          scheme: 'file',
          path: '/OVS/Repositories/1/VirtualDisks/a.img',
          deviceName: 'xvda',
          cdrom: false,
          mode: 'w',
        },
        {
          scheme: 'file',
          path: '/OVS/Repositories/1/ISOs/b.iso',
          deviceName: 'xvdb',
          cdrom: true,
          mode: 'r',
        },
      ],
    })
  })

  it('reads what people make of one', () => {
    const vm = parse(`#!/usr/bin/env python\r
# -*- coding: utf-8 -*-\r
import os\r
OVM_simple_name = u'M\\xfcller\\'s "VM" = 1, # 2'\r
name = "vm"; uuid = 'x'\r
extra = "console=%s" % 'hvc0'\r
disk = [\r
  # system\r
  'file:/OVS/a=b, c.img'  ',xvda,w',\r
  r"file:/OVS/d\\e.img,xvdb,w!", u'phy:/dev/mapper/3600,xvdc,w',\r
]\r
disk += [',xvdd:cdrom,r']`)
    assert.equal(vm.friendlyName, 'Müller\'s "VM" = 1, # 2')
    assert.deepEqual(
      vm.disks.map(({ scheme, path, deviceName }) => [scheme, path, deviceName]),
      [
        ['file', '/OVS/a=b, c.img', 'xvda'],
        ['file', '/OVS/d\\e.img', 'xvdb'],
        ['phy', '/dev/mapper/3600', 'xvdc'],
        ['file', '', 'xvdd'],
      ],
    )
  })

  it('needs no more than a name', () => {
    assert.deepEqual(parse('name = "vm"'), { name: 'vm', uuid: '', friendlyName: 'vm', disks: [] })
    assert.deepEqual(parse('name = "vm"\ndisk = ()').disks, [])
  })

  it('refuses a file whose disks it can not be sure of, with the line', () => {
    const name = "name = 'vm'\n"
    refuses(`${name}disk.append('file:/x,xvda,w')`, /, line 2: disk \. append \( is no plain assignment/)
    refuses(
      `${name}disk = ['file:/%s,xvda,w' % 1]`,
      /, line 2: disk gets no plain value: % is no plain value/,
    )
    refuses(`${name}disk = 'file:/x,xvda,w'`, /, line 2: disk is not a list/)
    refuses(`${name}disk = None`, /, line 2: disk is not a list/)
    refuses(`${name}disk = ['file:/x,xvda,w', 5]`, /, line 2: disk entry 2 is not a string/)
    refuses(
      `${name}disk = ['file:/x,xvda,w', 'file:/y,xvdb']`,
      /, line 2: disk entry 2, "file:\/y,xvdb", can't be used: .*scheme:path,device,mode/,
    )
    refuses(`${name}disk = ['file:/x,xvda,w'`, /, line 2: a \] is missing/)
    refuses(`${name}disk = ['file:/\\xff,xvda,w']`, /, line 2: .*not UTF-8/)
    assert.throws(
      () => parseVmConfig(Buffer.from("name = 'vm'\ndisk = ['file:/\xff,xvda,w']", 'latin1'), PATH),
      /UTF-8/,
    )
  })

  it('reads a file with Latin-1 in what is not needed', () => {
    const source = "# \xe9\nOVM_description = '\xe9'\nname = 'vm'"
    assert.equal(parseVmConfig(Buffer.from(source, 'latin1'), PATH).name, 'vm')
  })

  it('refuses names that cannot be an id', () => {
    refuses('uuid = "x"', /vm\.cfg has no line that sets name/)
    refuses('', /no line that sets name/)
    refuses('\nname = 5', /, line 2: name is not a string/)
    refuses('uuid = None\nname = "vm"', /, line 1: uuid is not a string/)
    refuses('OVM_simple_name = ["x"]\nname = "vm"', /, line 1: OVM_simple_name is not a string/)
    for (const name of [
      "''",
      "'a/b'",
      "'a\\nb'",
      "'a\\0'",
      "'\\x7f'",
      "'.'",
      "'..'",
      `'${'x'.repeat(256)}'`,
    ]) {
      refuses(`name = ${name}`, /, line 1: name ".*" is not 1 to 255 characters/)
    }
    assert.equal(parse(`name = '${'x'.repeat(255)}'`).name.length, 255)
    assert.equal(parse("name = 'web server, (1) ü.'").name, 'web server, (1) ü.')
  })
})
