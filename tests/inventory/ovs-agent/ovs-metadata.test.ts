import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseOvsMetadata } from '../../../inventory/ovs-agent/ovs-metadata.ts'

function parse(text: string) {
  return parseOvsMetadata(Buffer.from(text), '/OVS/.ovsmeta')
}

describe('parseOvsMetadata', () => {
  it('gives type and name by file', () => {
    const metadata = parse(
      '\ufeff{"a.img": {"OBJECT_TYPE": "VIRTUAL_DISK", "SIMPLE_NAME": "Säge"}, "b.iso": {"OBJECT_TYPE": "VIRTUAL_CDROM"}, "c": {}}',
    )
    assert.deepEqual(
      [...metadata],
      [
        ['a.img', { objectType: 'VIRTUAL_DISK', simpleName: 'Säge' }],
        ['b.iso', { objectType: 'VIRTUAL_CDROM' }],
        ['c', {}],
      ],
    )
  })

  it('passes over what has another form', () => {
    const metadata = parse(
      '{"a": null, "b": [], "c": "x", "d": {"OBJECT_TYPE": 5, "SIMPLE_NAME": "n"}, "e": {"OBJECT_TYPE": "<b>\\n"}, "f": {"OBJECT_TYPE": "T"}}',
    )
    assert.deepEqual(
      [...metadata],
      [
        ['d', { simpleName: 'n' }],
        ['e', {}],
        ['f', { objectType: 'T' }],
      ],
    )
  })

  it('takes hostile names for names', () => {
    const metadata = parse(
      '{"__proto__": {"OBJECT_TYPE": "T"}, "constructor": {"OBJECT_TYPE": "U"}, "x": {"__proto__": {"OBJECT_TYPE": "V"}}}',
    )
    assert.equal(metadata.get('__proto__')?.objectType, 'T')
    assert.equal(metadata.get('constructor')?.objectType, 'U')
    assert.equal(metadata.get('x')?.objectType, undefined)
    assert.equal('OBJECT_TYPE' in {}, false)
  })

  it('refuses what is no JSON object, with its path', () => {
    for (const text of ['', '{', '[]', 'null', '5', `${'['.repeat(1_000_000)}`]) {
      assert.throws(() => parse(text), { code: 'INVENTORY_UNREADABLE', message: /^\/OVS\/\.ovsmeta is not / })
    }
  })
})
