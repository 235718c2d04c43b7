import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiClient } from './api-client.ts'
import { startServer } from './server.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const INVENTORY = `[[static.repositories]]
id = "empty"
mount_point = "/nowhere"`

test('a server that does not get ready is an error with what it wrote', async () => {
  await using directory = await temporaryDirectory('server')
  const starting = startServer({ directory: directory.path, extraConfig: 'misspelt_table = 1' })
  await assert.rejects(starting, /did not get ready.*ended with 1[\s\S]*misspelt_table/)
})

test('a killed server starts again on its folder, and one told to stop ends with 0', async () => {
  await using directory = await temporaryDirectory('server')
  const first = await startServer({ directory: directory.path, extraConfig: INVENTORY })
  await first.kill()
  const second = await startServer({ directory: directory.path, extraConfig: INVENTORY })
  {
    await using client = new ApiClient(second)
    await client.login()
    assert.deepEqual(await client.vms(), [])
  }
  assert.equal(await second.stop(), 0)
  assert.ok(
    second.logs.some(({ msg }) => msg === 'stopped'),
    JSON.stringify(second.logs),
  )
  assert.equal(second.stderr(), '')
})
