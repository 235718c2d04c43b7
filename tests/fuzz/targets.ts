import assert from 'node:assert/strict'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../config/load-config.ts'
import { parseBerkeleyDbHash } from '../../inventory/ovs-agent/berkeley-db-hash.ts'
import { parseOvsMetadata } from '../../inventory/ovs-agent/ovs-metadata.ts'
import { unpickle, unpickleStrings } from '../../inventory/ovs-agent/pickle.ts'
import { parseVmConfig } from '../../inventory/ovs-agent/vm-config.ts'
import { makeDatabase } from '../inventory/support/berkeley-db.ts'
import { python } from '../inventory/support/python.ts'
import { makeCertificate } from '../support/certificate.ts'
import { parseByteRangesCase } from './range-target.ts'
import { SNAPSHOT_FILE_TARGETS } from './snapshot-file-targets.ts'
import type { FuzzTarget } from './target.ts'

const folder = await mkdtemp(join(tmpdir(), 'diskferry-fuzz-'))
const configFile = join(folder, 'config.toml')

const VM_CONFIG = `OVM_simple_name = 'example-vm'
name = "0004fb0000060000ccaf98a0baa2c186"
uuid = '0004fb00-0006-0000-ccaf-98a0baa2c186'
# a comment, with = and , and '
disk = ['file:/OVS/Repositories/0004fb/VirtualDisks/system.img,xvda,w',
        u'file:/OVS/Repositories/0004fb/ISOs/a\\'b.iso,xvdc:cdrom,r',
        "phy:/dev/mapper/3600,xvdb,w!", ]
vif = [ 'mac=00:21:f6:00:00:01,bridge=xenbr0' ]
memory = 2048; vcpus = 0x2
cpuset = {'a': (1, 2.5, None), "b": [True, False, r'raw\\x', """long
string"""]}
`

/** One of each thing that a guest's or another host's owner can write, and that the program reads. */
export const TARGETS: Readonly<Record<string, FuzzTarget>> = {
  ...SNAPSHOT_FILE_TARGETS,
  'berkeley-db': {
    async corpus() {
      const many = Array.from(
        { length: 60 },
        (_, n) => [`6b${n.toString(16).padStart(4, '0')}`, 'ab'.repeat(20)] as const,
      )
      const large = [['6b6579', 'cd'.repeat(3000)]] as const
      const made: Buffer[] = []
      for (const request of [
        { put: large, pageSize: 512 },
        { put: many, pageSize: 512, byteOrder: 'big' as const },
        { put: many, pageSize: 1024, checksums: true },
        { put: many, remove: many.slice(0, 30).map(([key]) => key), pageSize: 512 },
      ]) {
        const path = join(folder, `db-${made.length}`)
        await makeDatabase({ ...request, path })
        made.push(await readFile(path))
      }
      return made
    },
    refusals: ['BERKELEY_DB_INVALID'],
    run(input) {
      const entries = parseBerkeleyDbHash(input, 'db')
      const bytes = entries.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
      assert.ok(bytes <= input.length, `${bytes} bytes were read out of ${input.length}`)
    },
  },
  pickle: {
    async corpus() {
      const script = `
import base64, pickle
record = {'mount_point': '/OVS/Repositories/x', 'alias': 'r\\u00e9po', 'version': u'3.0', 'n': [1, 2.5, None, True, {'a': (1,)}], 'long': 2**70}
print(json.dumps([base64.b64encode(pickle.dumps(value, p)).decode() for p in (0, 1, 2) for value in ({'mount_point': '/OVS', 'alias': u'r\\u00e9po'}, record, 'text', [record, record])]))`
      const made = JSON.parse(await python(script, null)) as string[]
      return made.map((text) => Buffer.from(text, 'base64'))
    },
    words: [
      '(dp0\n',
      'S',
      "S'",
      'c__builtin__\neval\n',
      'cos\nsystem\n',
      'R',
      '.',
      'U\xff',
      '\x8a\xff',
      'I1\n',
      'V\\ud800\n',
    ],
    refusals: ['PICKLE_INVALID'],
    run(input) {
      for (const value of unpickleStrings(input, 'record').values()) assert.equal(typeof value, 'string')
    },
  },
  'pickle-any': {
    corpus: () => TARGETS['pickle']!.corpus(),
    refusals: ['PICKLE_INVALID'],
    run: (input) => unpickle(input, 'record'),
  },
  'vm.cfg': {
    corpus: async () =>
      [VM_CONFIG, "name = 'a'\nuuid = 'b'\ndisk = []\n", `name = 'x'\r\n${'#\n'.repeat(50)}`].map((text) =>
        Buffer.from(text),
      ),
    words: [
      'disk = [',
      "'file:",
      ',xvda,w',
      ':cdrom',
      '\\x',
      '\\u',
      '\\N{',
      "u'",
      'b"',
      '=',
      '==',
      '+=',
      '#',
      ';',
      '\n',
      '\t',
      '0x',
      '1e',
      'j',
      'lambda:',
      '`',
    ],
    refusals: ['VM_CONFIG_INVALID'],
    run(input) {
      const { name, disks } = parseVmConfig(input, 'vm.cfg')
      assert.equal(typeof name, 'string')
      for (const { scheme, path, cdrom } of disks) {
        assert.ok(scheme !== 'file' || path.startsWith('/') || (cdrom && path === ''), path)
      }
    },
  },
  '.ovsmeta': {
    corpus: async () => [
      Buffer.from(
        '{"a.img": {"OBJECT_TYPE": "VIRTUAL_DISK", "SIMPLE_NAME": "A \\u00e9"}, "__proto__": {"OBJECT_TYPE": 1}}',
      ),
      Buffer.from('\ufeff{}'),
    ],
    refusals: ['INVENTORY_UNREADABLE'],
    run: (input) => parseOvsMetadata(input, '.ovsmeta'),
  },
  configuration: {
    async corpus() {
      const example = await readFile(new URL('../../config/diskferry.example.toml', import.meta.url), 'utf8')
      const { certificate, key } = await makeCertificate(folder)
      const whole = `db_file = "${join(folder, 'db')}"\n[jwt]\nsecret = "${'s'.repeat(40)}"\n[api.tls]\ncertificate = "${certificate}"\nkey = "${key}"\n[inventory]\nsource = "static"\n[[static.repositories]]\nid = "r"\nmount_point = "/srv/r"\n[[static.vms]]\nname = "vm"\nuuid = "7b1ea2c4-5b0f-4f6e-9d53-0d7c3a1f2e10"\ndisks = [{ path = "/srv/r/a", device_name = "xvda" }]\n`
      return [Buffer.from(whole), Buffer.from(example.replaceAll(/^#(?=\S)/gm, ''))]
    },
    words: [
      '[[',
      ']]',
      '= "',
      '""""',
      'a.b.c = ',
      '{ x = ',
      'inf',
      'nan',
      '1979-05-27',
      '0x',
      '1_000',
      '\\u',
      '[api]',
      'api.port = ',
    ],
    refusals: ['CONFIG_INVALID'],
    async run(input) {
      await writeFile(configFile, input)
      await loadConfig(configFile)
    },
  },
  'Range and conditions': {
    corpus: async () =>
      [
        'bytes=0-9',
        'bytes=0-0,-1,5-',
        'bytes=0-99, 200-299, 9007199254740990-9007199254740991',
        'bytes=-5\nif-range: "etag"',
        'bytes=1-2\nif-range: Thu, 29 Feb 2024 12:34:56 GMT\nif-none-match: W/"a", "b"',
        'bytes=1-2\nif-match: *\nif-unmodified-since: Thursday, 29-Feb-24 12:34:56 GMT',
      ].map((text) => Buffer.from(text)),
    words: [
      'bytes=',
      '-',
      ',',
      ' ',
      '\t',
      '"',
      'W/',
      '*',
      'if-match: ',
      '\n',
      '18446744073709551616',
      'GMT',
      'Thu, ',
    ],
    refusals: [],
    run: parseByteRangesCase,
  },
}
