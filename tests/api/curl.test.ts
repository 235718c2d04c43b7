import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { command } from '../support/command.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { VM } from './support/fake-services.ts'
import { ApiServer } from './support/server.ts'

/** The command lines that the ancestor's manual shows, and what follows from them, run by curl itself. */
describe("the ancestor's curl lines", { timeout: 60_000 }, () => {
  let directory: TemporaryDirectory
  let server: ApiServer
  let token: string
  let vm: string

  before(async () => {
    directory = await temporaryDirectory('api-curl')
    server = await ApiServer.start()
    const path = join(directory.path, 'disk')
    await writeFile(path, 'the bytes of a disk')
    server.fake.files.set('system.img', path)
    vm = `/api/v1/vms/${VM.name}`
    const body = '{"username": "admin", "password": "SuperSecret"}'
    const answer = await curl('-k', '-X', 'POST', '-d', body, '/api/v1/auth/login/')
    token = JSON.parse(answer).token
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  function curl(...args: readonly string[]): Promise<string> {
    const path = args.at(-1)!
    return command('curl', ['-s', '--max-time', '20', ...args.slice(0, -1), `${server.url}${path}`])
  }

  function authorized(...args: readonly string[]): Promise<string> {
    return curl('-k', '-H', 'Accept: application/json', '-H', `Authorization: Bearer ${token}`, ...args)
  }

  it('log in and list the VMs', async () => {
    const [only] = JSON.parse(await authorized('-X', 'GET', '/api/v1/vms'))
    assert.equal(only.name, VM.name)
    assert.equal(JSON.parse(await authorized('-X', 'GET', '/api/v1/vms/'))[0].name, VM.name)
    assert.equal(JSON.parse(await authorized('-X', 'GET', `${vm}/`)).friendly_name, VM.friendlyName)
  })

  it('create, list, compare and delete snapshots', async () => {
    assert.equal(JSON.parse(await authorized('-X', 'POST', `${vm}/snapshots/`)).id, 'snap-3')
    assert.equal(JSON.parse(await authorized('-X', 'POST', '-d', '', `${vm}/snapshots`)).vmID, VM.name)
    assert.equal(JSON.parse(await authorized('-X', 'GET', `${vm}/snapshots/`)).length, 2)
    const compared = `${vm}/snapshots/snap-2/?squashChunks=false&compareTo=snap-1`
    assert.equal(JSON.parse(await authorized('-X', 'GET', compared)).disks[0].snapshotID, 'snap-2')
    assert.equal(await authorized('-X', 'DELETE', `${vm}/snapshots/snap-1/`), '')
    const json = 'Content-Type: application/json'
    assert.equal(await authorized('-X', 'DELETE', '-H', json, `${vm}/snapshots/snap-1`), '')
    assert.equal(await authorized('-X', 'DELETE', `${vm}/snapshots/`), '')
  })

  it('tell the size of a disk and fetch ranges of it', async () => {
    const disk = `${vm}/snapshots/snap-1/disks/system.img`
    assert.match(await authorized('--head', disk), /\r\ncontent-length: 19\r\n/i)
    assert.equal(await authorized('-H', 'Range: bytes=4-8', disk), 'bytes')
    assert.equal(await authorized('-r', '-4', `${disk}/`), 'disk')
    assert.match(await authorized('-r', '0-0,4-4', disk), /Content-Range: bytes 4-4\/19\r\n\r\nb\r\n--/)
    const target = join(directory.path, 'pulled')
    await writeFile(target, 'the by')
    await authorized('-C', '-', '-o', target, disk)
    assert.equal(await readFile(target, 'utf8'), 'the bytes of a disk')
  })

  it('verify the certificate when they are told to', async () => {
    const ca = join(directory.path, 'ca.pem')
    await writeFile(ca, server.certificates.cert)
    assert.equal(await curl('--cacert', ca, '/healthz'), '{"status":"ok"}')
    await assert.rejects(curl('/healthz'), /exit 60/)
  })

  it('are told what is wrong', async () => {
    const answer = JSON.parse(await curl('-k', '/api/v1/vms'))
    assert.equal(answer.error, 'Authentication failed')
    assert.equal(await authorized('-o', '/dev/null', '-w', '%{http_code}', `${vm}/nothing`), '404')
  })
})
