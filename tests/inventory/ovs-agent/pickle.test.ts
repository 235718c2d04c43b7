import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { unpickle, unpickleString, unpickleStrings } from '../../../inventory/ovs-agent/pickle.ts'
import { Random } from '../../support/random.ts'
import { python } from '../support/python.ts'

/** Byte for byte: each character stands for the byte of its number. */
function bytes(latin1: string): Buffer {
  return Buffer.from(latin1, 'latin1')
}

function read(latin1: string): unknown {
  return unpickle(bytes(latin1), 'the entry')
}

function refuses(latin1: string, message: RegExp = /./): void {
  assert.throws(() => read(latin1), { name: 'DiskferryError', code: 'PICKLE_INVALID', message })
}

const REPOSITORY = {
  mount_point: '/OVS/Repositories/0004fb0000030000',
  manager_uuid: '0004fb0000010000',
  alias: 'répo \'a\' \\ "b"\n',
  version: '3.0',
  filesystem: 'ocfs2',
}

/** Written by Python 2.7.18; manager_uuid is a `unicode`, the others are `str`. */
const BY_PYTHON_2: Readonly<Record<string, string>> = {
  'pickle, protocol 0':
    "(dp0\nS'alias'\np1\nS'r\\xc3\\xa9po \\'a\\' \\\\ \"b\"\\n'\np2\nsS'mount_point'\np3\n" +
    "S'/OVS/Repositories/0004fb0000030000'\np4\nsS'manager_uuid'\np5\nV0004fb0000010000\np6\n" +
    "sS'version'\np7\nS'3.0'\np8\nsS'filesystem'\np9\nS'ocfs2'\np10\ns.",
  'cPickle, protocol 0':
    "(dp1\nS'alias'\np2\nS'r\\xc3\\xa9po \\'a\\' \\\\ \"b\"\\n'\np3\nsS'mount_point'\np4\n" +
    "S'/OVS/Repositories/0004fb0000030000'\np5\nsS'manager_uuid'\np6\nV0004fb0000010000\np7\n" +
    "sS'version'\np8\nS'3.0'\np9\nsS'filesystem'\np10\nS'ocfs2'\np11\ns.",
  'pickle, protocol 1':
    '}q\0(U\x05aliasq\x01U\x10r\xc3\xa9po \'a\' \\ "b"\nq\x02U\x0bmount_pointq\x03' +
    'U"/OVS/Repositories/0004fb0000030000q\x04U\x0cmanager_uuidq\x05X\x10\0\0\x000004fb0000010000q\x06' +
    'U\x07versionq\x07U\x033.0q\x08U\nfilesystemq\tU\x05ocfs2q\nu.',
  'cPickle, protocol 2':
    '\x80\x02}q\x01(U\x05aliasq\x02U\x10r\xc3\xa9po \'a\' \\ "b"\nq\x03U\x0bmount_pointq\x04' +
    'U"/OVS/Repositories/0004fb0000030000q\x05U\x0cmanager_uuidq\x06X\x10\0\0\x000004fb0000010000q\x07' +
    'U\x07versionq\x08U\x033.0q\tU\nfilesystemq\nU\x05ocfs2q\x0bu.',
}

describe('a pickle of plain data', () => {
  for (const [by, pickle] of Object.entries(BY_PYTHON_2)) {
    it(`is read as Python 2 wrote it: ${by}`, () => {
      assert.deepEqual(Object.fromEntries(unpickleStrings(bytes(pickle), 'the entry')), REPOSITORY)
    })
  }

  it('gives the strings of Python 2 as text, whatever opcode carries them', () => {
    assert.equal(unpickleString(bytes("S'192.168.1.1'\np0\n."), 'manager_ip'), '192.168.1.1')
    assert.equal(unpickleString(bytes('\x80\x02U\x0b192.168.1.1q\x01.'), 'manager_ip'), '192.168.1.1')
    assert.equal(read('T\x05\0\0\0r\xc3\xa9po.'), 'répo')
    assert.equal(read('S"it\'s"\n.'), "it's")
    assert.equal(read("S'\\x00\\t\\\\x41\\''\n."), "\0\t\\x41'")
    assert.equal(read('Vmanager\\u20ac\\u005cu0041\\u000a\xe9\\U0001f600\np0\n.'), 'manager€\\u0041\né😀')
    assert.equal(read('X\x03\0\0\0\xe2\x82\xac.'), '€')
    assert.equal(read("S''\n."), '')
  })

  it('gives numbers, booleans and lists', () => {
    const text = read('(lp0\nI1\naI-7\naI01\naI00\naL12345678901L\naF1.5\naNa.')
    assert.deepEqual(text, [1, -7, true, false, 12345678901, 1.5, null])
    const binary = read(
      '\x80\x02](K\x07M\x00\x01J\xff\xff\xff\xff\x88\x89\x8a\x03\0\0\x01G?\xf8\0\0\0\0\0\0e.',
    )
    assert.deepEqual(binary, [7, 256, -1, true, false, 65536, 1.5])
    assert.deepEqual(read('(I1\nI2\nt.'), [1, 2])
    assert.deepEqual(read('K\x01K\x02K\x03\x87.'), [1, 2, 3])
  })

  for (const protocol of [0, 1, 2]) {
    it(`is read as Python 3 writes it in protocol ${protocol}`, async () => {
      const value = {
        text: 'a\n\\u0041é€😀\'"',
        long: 'x'.repeat(300),
        list: ['a', 1, [true, null]],
        nested: { a: { b: 'c' } },
        n: -5,
      }
      const script = 'import pickle\nprint(pickle.dumps(request["value"], request["protocol"]).hex())'
      const pickle = Buffer.from((await python(script, { value, protocol })).trim(), 'hex')
      const nested = new Map([['a', new Map([['b', 'c']])]])
      assert.deepEqual(
        unpickle(pickle, 'the entry'),
        new Map<string, unknown>(Object.entries({ ...value, nested })),
      )
    })
  }

  it('has only its strings in unpickleStrings', () => {
    const strings = unpickleStrings(bytes("(dS'a'\nI1\nsS'b'\nS'c'\nsI3\nS'd'\ns."), 'the entry')
    assert.deepEqual([...strings], [['b', 'c']])
  })
})

describe('a pickle that is more than plain data', () => {
  it('is refused when it names, calls or builds anything', () => {
    refuses("cos\nsystem\n(S'touch /tmp/hostile'\ntR.", /opcode 0x63 at byte 0 is not one of plain data/)
    refuses("(S'id'\nios\nsystem\n.", /opcode 0x69/)
    refuses('(cos\nsystem\no.', /opcode 0x63/)
    refuses("\x80\x02}S'a'\nb.", /opcode 0x62/)
    refuses('\x80\x02}}\x81.', /opcode 0x81/)
    refuses('\x80\x02\x82\x01.', /opcode 0x82/)
    refuses('Pid\n.', /opcode 0x50/)
    refuses('\x80\x04\x8c\x02os\x8c\x06system\x93.', /opcode 0x8c/)
    refuses('}(}K\x01}R.', /opcode 0x52/)
  })

  it('is refused when a class of Python 3 made it', async () => {
    const script = `
import pickle, os
class Hostile:
    def __reduce__(self): return (os.system, ('touch /tmp/hostile',))
for protocol in range(6): print(pickle.dumps({'a': Hostile()}, protocol).hex())
`
    for (const line of (await python(script, null)).trim().split('\n')) {
      refuses(Buffer.from(line, 'hex').toString('latin1'), /is not one of plain data/)
    }
  })

  it('cannot reach the prototype of any object', () => {
    const map = read("}(S'__proto__'\n}S'polluted'\nI1\nsS'constructor'\nS'x'\nu.") as Map<string, unknown>
    assert.ok(map instanceof Map)
    assert.equal(Object.getPrototypeOf(map), Map.prototype)
    assert.deepEqual([...map.keys()], ['__proto__', 'constructor'])
    refuses("(S'__proto__'\n}S'polluted'\nI1\nsd.", /dictionary from a list of items/)
    refuses("(S'get'\nS'x'\nd.", /dictionary from a list of items/)
    assert.equal('polluted' in {}, false)
    assert.equal('polluted' in new Map(), false)
  })

  it('is refused when a string is not UTF-8 or not closed', () => {
    refuses('U\x02\xff\xfe.', /not UTF-8/)
    refuses("S'\\xff'\n.", /not UTF-8/)
    refuses("S'abc\n.")
    refuses("S'abc\\'\n.")
    refuses("S'\\x4'\n.")
    refuses("S'\n.")
    refuses('V\\u12\n.')
  })

  it('is refused when a number cannot be told exactly', () => {
    refuses('\x80\x02\x8a\x01\xff.', /negative long/)
    refuses('\x80\x02\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x0f.', /too large/)
    refuses(`L${'9'.repeat(100_000)}L\n.`)
    refuses('Fnan\n.')
    refuses('Ix\n.')
  })

  it('is refused in bounded time when it doubles itself', () => {
    const start = performance.now()
    const doubled = `(lp0\n${'(g0\ng0\ntp0\n'.repeat(60)}`
    assert.ok(Array.isArray(read(`${doubled}.`)))
    refuses(`}(${doubled}S'x'\nd.`, /dictionary from a list of items/)
    assert.throws(() => unpickleStrings(bytes(`${doubled}.`), 'the entry'), { message: /no dictionary/ })
    assert.ok(performance.now() - start < 1000)
  })

  it('is refused when it has more than 1 MiB or lacks its value', () => {
    refuses(`X\0\0\x20\0${'x'.repeat(2 * 1024 * 1024)}.`, /2097158 bytes/)
    refuses('')
    refuses('N')
    assert.throws(() => unpickleString(bytes('.'), 'manager_ip'), {
      code: 'PICKLE_INVALID',
      message: /manager_ip .*no string/,
    })
    assert.throws(() => unpickleString(bytes('I1\n.'), 'manager_ip'), { code: 'PICKLE_INVALID' })
    assert.throws(() => unpickleStrings(bytes('N.'), 'the entry'), { code: 'PICKLE_INVALID' })
  })

  it('is refused wherever it is cut off', () => {
    for (const pickle of Object.values(BY_PYTHON_2)) {
      for (let length = 0; length < pickle.length; length += 1) refuses(pickle.slice(0, length))
    }
  })

  it('is read or refused, never worse, whatever bytes change', () => {
    const random = new Random(5)
    const results = { read: 0, refused: 0 }
    for (let round = 0; round < 4000; round += 1) {
      const mutant = bytes(random.pick(Object.values(BY_PYTHON_2)))
      for (let change = random.between(1, 4); change > 0; change -= 1) {
        const at = random.between(0, mutant.length - 1)
        mutant[at] = random.chance(0.5)
          ? random.between(0, 255)
          : random.pick([...bytes('(dlsuagpS}]tq.e\x85')])
      }
      try {
        unpickle(mutant, 'the entry')
        results.read += 1
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'PICKLE_INVALID', String(error))
        results.refused += 1
      }
    }
    assert.ok(results.read > 100 && results.refused > 100, JSON.stringify(results))
  })
})
