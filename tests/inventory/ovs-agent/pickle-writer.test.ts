import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { unpickleString, unpickleStrings } from '../../../inventory/ovs-agent/pickle.ts'
import { pickleString, pickleStrings } from '../../../inventory/ovs-agent/pickle-writer.ts'
import { python } from '../support/python.ts'

const LOADS = `
import pickle
print(json.dumps(pickle.loads(bytes.fromhex(request), encoding='utf-8')))
`

/** What Python makes of the bytes of Python 2. */
async function loads(pickle: Buffer): Promise<unknown> {
  return JSON.parse(await python(LOADS, pickle.toString('hex')))
}

describe('the pickle writer', () => {
  it('writes dictionaries that Python and the reader take for what they are', async () => {
    const record = {
      mount_point: '/OVS/Repositories/0004fb',
      alias: 'répo \n"\'\\',
      long: 'ü'.repeat(300),
      empty: '',
    }
    assert.deepEqual(await loads(pickleStrings(record)), record)
    assert.deepEqual(Object.fromEntries(unpickleStrings(pickleStrings(record), 'x')), record)
    assert.deepEqual(await loads(pickleStrings({})), {})
  })

  it('writes strings that Python and the reader take for what they are', async () => {
    for (const text of ['192.168.1.1', '', 'x'.repeat(255), 'x'.repeat(256), '€'.repeat(100)]) {
      assert.equal(await loads(pickleString(text)), text)
      assert.equal(unpickleString(pickleString(text), 'x'), text)
    }
  })
})
