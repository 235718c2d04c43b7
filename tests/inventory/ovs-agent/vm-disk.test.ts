import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseVmDisk } from '../../../inventory/ovs-agent/vm-disk.ts'

function disk(scheme: string, path: string, deviceName: string, mode: string, cdrom = false) {
  return { scheme, path, deviceName, cdrom, mode }
}

describe('a disk entry', () => {
  const entries = {
    'file:/OVS/Repositories/1/VirtualDisks/x.img,xvda,w': disk(
      'file',
      '/OVS/Repositories/1/VirtualDisks/x.img',
      'xvda',
      'w',
    ),
    'file:/a, b=c:d.img,xvda,w!': disk('file', '/a, b=c:d.img', 'xvda', 'w!'),
    'file:/x ,xvda , rw ': disk('file', '/x ', 'xvda', 'w'),
    ' file:/x,xvda,ro': disk('file', '/x', 'xvda', 'r'),
    'phy:/dev/mapper/3600,xvdb,w': disk('phy', '/dev/mapper/3600', 'xvdb', 'w'),
    'phy:vg/lv,xvdb,w': disk('phy', 'vg/lv', 'xvdb', 'w'),
    'tap:aio:/path,xvda,w': disk('tap', 'aio:/path', 'xvda', 'w'),
    'file:/y.iso,xvdc:cdrom,r': disk('file', '/y.iso', 'xvdc', 'r', true),
    'file:/x,ioemu:hda:disk,w': disk('file', '/x', 'hda', 'w'),
    'file:/x,/dev/sda,w': disk('file', '/x', 'sda', 'w'),
    ',xvdd:cdrom,r': disk('file', '', 'xvdd', 'r', true),
    'file:,xvdd:cdrom,r': disk('file', '', 'xvdd', 'r', true),
    'phy:,hdc:cdrom,r': disk('phy', '', 'hdc', 'r', true),
  }
  for (const [entry, expected] of Object.entries(entries)) {
    it(`of the form scheme:path,device,mode is split from the right: ${entry}`, () => {
      assert.deepEqual(parseVmDisk(entry), expected)
    })
  }

  const ofXl = {
    'format=raw, vdev=xvda, access=rw, target=/path': disk('file', '/path', 'xvda', 'w'),
    'format=raw, vdev=xvda, access=rw, target=/a, b=c:d.img ': disk('file', '/a, b=c:d.img ', 'xvda', 'w'),
    'vdev=hda,target=/dev/vg/guest': disk('phy', '/dev/vg/guest', 'hda', 'w'),
    '/dev/vg/guest-volume,,hda': disk('phy', '/dev/vg/guest-volume', 'hda', 'w'),
    '/dev/vg/guest-volume,raw,hda,rw': disk('phy', '/dev/vg/guest-volume', 'hda', 'w'),
    'vg/lv,raw,hda,r': disk('phy', '/dev/vg/lv', 'hda', 'r'),
    '/root/image.iso,,hdc,cdrom': disk('file', '/root/image.iso', 'hdc', 'r', true),
    '/root/image.iso,,hdc,,cdrom': disk('file', '/root/image.iso', 'hdc', 'r', true),
    'format=raw, vdev=hdc, access=ro, devtype=cdrom, target=/root/image.iso': disk(
      'file',
      '/root/image.iso',
      'hdc',
      'r',
      true,
    ),
    ',,hdc,,cdrom': disk('file', '', 'hdc', 'r', true),
    'vdev=hdc,devtype=cdrom': disk('file', '', 'hdc', 'r', true),
    'format=qcow2,vdev=xvda,access=w,discard,backendtype=qdisk,target=/x.qcow2': disk(
      'qcow2',
      '/x.qcow2',
      'xvda',
      'w',
    ),
  }
  for (const [entry, expected] of Object.entries(ofXl)) {
    it(`of xl-disk-configuration(5) is understood: ${entry}`, () => {
      assert.deepEqual(parseVmDisk(entry), expected)
    })
  }

  const problems = {
    '': /device/,
    'file:/x': /scheme:path,device,mode/,
    'file:/x,xvda': /scheme:path,device,mode/,
    'file:/x,xvda,': /mode/,
    'file:/x,xvda,x': /mode/,
    'file:/x,,w': /device/,
    'file:/x,xv/da,w': /device/,
    'file:/x,xvda:floppy,w': /device/,
    'file:/x,xvda,w,0': /device|mode/,
    'file:,xvda,w': /names no path/,
    ',xvda,w': /image format/,
    'file:x.img,xvda,w': /not absolute/,
    'file:/x\0,xvda,w': /NUL/,
    '/x,xvda,w': /image format/,
    '/x,raw,xvda,w,extra': /"extra"/,
    'vdev=xvda,access=w': /names no path/,
    'vdev=xvda,vdev=xvdb,target=/x': /vdev twice/,
    'vdev=xvda,script=block-iscsi,target=/x': /"script=block-iscsi"/,
    'vdev=xvda,backend=other,target=/x': /"backend=other"/,
    'vdev=xvda,devtype=tape,target=/x': /devtype/,
    'vdev=xvda,access=x,target=/x': /mode/,
    'target=/x': /device/,
  }
  for (const [entry, message] of Object.entries(problems)) {
    it(`that can't be told for certain is a problem: ${JSON.stringify(entry)}`, () => {
      const result = parseVmDisk(entry)
      assert.ok('problem' in result, JSON.stringify(result))
      assert.match(result.problem, message)
    })
  }
})
