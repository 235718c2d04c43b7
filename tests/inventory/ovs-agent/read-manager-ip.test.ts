import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { writeBerkeleyDbHash } from '../../../inventory/ovs-agent/berkeley-db-hash-writer.ts'
import { pickleString } from '../../../inventory/ovs-agent/pickle-writer.ts'
import { readManagerIp } from '../../../inventory/ovs-agent/read-manager-ip.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { hex, makeDatabase } from '../support/berkeley-db.ts'

let directory: TemporaryDirectory
before(async () => {
  directory = await temporaryDirectory('manager-ip')
})
after(() => directory[Symbol.asyncDispose]())

async function readWritten(entries: readonly (readonly [string, Buffer])[]): Promise<string> {
  await writeFile(join(directory.path, 'server'), writeBerkeleyDbHash(entries))
  return readManagerIp(directory.path)
}

describe('readManagerIp', () => {
  it('reads what the agent wrote with Berkeley DB and Python 2', async () => {
    await using own = await temporaryDirectory('manager-ip')
    const put = [
      [hex('statistic'), hex("S'x'\np0\n.")],
      [hex('manager_ip'), hex("S'192.168.1.1'\np0\n.")],
    ] as const
    await makeDatabase({ path: join(own.path, 'server'), put })
    assert.equal(await readManagerIp(own.path), '192.168.1.1')
  })

  it('takes addresses and host names', async () => {
    for (const address of [
      '10.0.0.1',
      'fd00::1',
      '::ffff:10.0.0.1',
      'manager',
      'ovm-manager.example.com',
      '3com.example',
    ]) {
      assert.equal(await readWritten([['manager_ip', pickleString(address)]]), address)
    }
  })

  it('refuses everything else', async () => {
    const others = [
      '',
      ' ',
      '10.0.0',
      '10.0.0.256',
      '[fd00::1]',
      'fe80::1%eth0',
      '10.0.0.1:7002',
      'a b',
      'a/b',
      'user@host',
      '-x',
      'x..y',
      'x\n',
      'ü',
      `${'x'.repeat(64)}.example`,
      '1'.repeat(254),
    ]
    for (const address of others) {
      await assert.rejects(
        readWritten([['manager_ip', pickleString(address)]]),
        { code: 'INVENTORY_UNREADABLE' },
        address,
      )
    }
  })

  it('says what to do where there is no manager', async () => {
    await assert.rejects(readWritten([['other', pickleString('x')]]), {
      code: 'INVENTORY_UNREADABLE',
      message: /server has no manager_ip.*ovm_endpoint/,
    })
  })

  it('keeps the code of what was wrong', async () => {
    await assert.rejects(readWritten([['manager_ip', Buffer.from('cos\nsystem\n.')]]), {
      code: 'PICKLE_INVALID',
    })
    await assert.rejects(readWritten([['manager_ip', Buffer.from('I1\n.')]]), { code: 'PICKLE_INVALID' })
    await writeFile(join(directory.path, 'server'), 'garbage')
    await assert.rejects(readManagerIp(directory.path), { code: 'BERKELEY_DB_INVALID' })
    await assert.rejects(readManagerIp(join(directory.path, 'missing')), { code: 'INVENTORY_UNREADABLE' })
  })
})
