import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { chmod } from 'node:fs/promises'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { generate } from 'selfsigned'
import { makePems, makeWorkspace, type Workspace } from './workspace.ts'

let workspace: Workspace

beforeEach(async () => {
  workspace = await makeWorkspace()
})

afterEach(() => workspace[Symbol.asyncDispose]())

async function refusal(): Promise<string> {
  return (await workspace.problems(workspace.toml())).join('\n')
}

describe('the certificate of the server', () => {
  it('may have its chain behind it, and text between', async () => {
    const own = await makePems()
    const other = await makePems()
    await workspace.write('server.pem', `subject=x\n${own.certificate}\nissuer=y\n${other.certificate}`)
    await workspace.write('server.key', own.key)
    assert.equal(await refusal(), '')
  })

  it('may be RSA in the old form of keys', async () => {
    const made = await generate([{ name: 'commonName', value: 'localhost' }], { algorithm: 'sha256' })
    await workspace.write('server.pem', made.cert)
    const old = createPrivateKey(made.private).export({ type: 'pkcs1', format: 'pem' })
    await workspace.write('server.key', old)
    assert.equal(await refusal(), '')
  })

  it('is refused when the key is of another', async () => {
    await workspace.write('server.key', (await makePems()).key)
    assert.match(
      await refusal(),
      /^FILE:7: api\.tls\.key: \S+\/server\.key is not the key of the certificate \S+\/server\.pem/,
    )
  })

  it('is refused when either is missing, both at once', async () => {
    const text = workspace.toml().replaceAll('/server.', '/absent.')
    const problems = await workspace.problems(text)
    assert.equal(problems.length, 2)
    assert.match(problems[0]!, /^FILE:6: api\.tls\.certificate: \S+\/absent\.pem does not exist \(ENOENT\)/)
    assert.match(problems[1]!, /^FILE:7: api\.tls\.key: \S+\/absent\.key does not exist \(ENOENT\)/)
  })

  it('is refused when it holds none', async () => {
    await workspace.write('server.pem', 'not a certificate')
    assert.match(await refusal(), /^FILE:6: api\.tls\.certificate: \S+ holds no PEM certificate/)
  })

  it('is refused when the two files are swapped', async () => {
    const text = workspace
      .toml()
      .replace('server.pem', 'x')
      .replace('server.key', 'server.pem')
      .replace('/x', '/server.key')
    const problems = await workspace.problems(text)
    assert.match(problems[0]!, /holds no PEM certificate/)
    assert.match(problems[1]!, /holds no PEM private key/)
  })

  it('is refused when it is damaged, telling which of the chain', async () => {
    const { certificate } = await makePems()
    const damaged = certificate.replace(/MII[\s\S]{40}/, 'A'.repeat(43))
    await workspace.write('server.pem', damaged)
    assert.match(await refusal(), /^FILE:6: api\.tls\.certificate: the certificate in \S+ can't be parsed/)
    await workspace.write('server.pem', certificate + damaged)
    assert.match(await refusal(), /certificate 2 of 2 in \S+ can't be parsed/)
  })

  it('is refused when the key is damaged, without showing any of it', async () => {
    const { key } = await makePems()
    const damaged = key.replace(/MI[\s\S]{40}/, 'A'.repeat(42))
    await workspace.write('server.key', damaged)
    const message = await refusal()
    assert.match(message, /^FILE:7: api\.tls\.key: \S+ can't be parsed/)
    for (const line of key.split('\n').slice(1, -2)) assert.ok(!message.includes(line.slice(0, 20)))
  })

  it('is refused when the key has a passphrase', async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    for (const type of ['pkcs8', 'sec1'] as const) {
      const locked = pair.privateKey.export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' })
      await workspace.write('server.key', locked)
      assert.match(await refusal(), /^FILE:7: api\.tls\.key: \S+ has a passphrase.*openssl pkey/)
    }
  })

  it('is refused when it is too weak for TLS', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 512,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    })
    const made = await generate([{ name: 'commonName', value: 'x' }], {
      algorithm: 'sha256',
      keyPair: { privateKey, publicKey },
    })
    await workspace.write('server.pem', made.cert)
    await workspace.write('server.key', privateKey)
    assert.match(await refusal(), /^FILE:6: api\.tls\.certificate: \S+ is refused by TLS \(.*small.*\)/)
  })

  it('is refused when it is a FIFO, at once', async () => {
    await promisify(execFile)('mkfifo', [workspace.path('fifo')])
    const text = workspace.toml().replace('server.pem', 'fifo')
    assert.match(
      (await workspace.problems(text)).join('\n'),
      /^FILE:6: api\.tls\.certificate: \S+ is not a regular file/,
    )
  })

  it('is warned of when it has expired, and when its time has not come', async () => {
    for (const [days, says] of [
      [[-10, -1], /^\S+:6: api\.tls\.certificate: \S+ expired on .*renew it$/],
      [[1, 10], /^\S+:6: api\.tls\.certificate: \S+ is not valid before .*check the clock/],
    ] as const) {
      const pems = await makePems(days)
      await workspace.write('server.pem', pems.certificate)
      await workspace.write('server.key', pems.key)
      const { warnings } = await workspace.load(workspace.toml())
      assert.equal(warnings.length, 1)
      assert.match(warnings[0]!, says)
    }
  })

  it('is warned of when every user may read its key', async () => {
    await chmod(workspace.key, 0o644)
    const { warnings } = await workspace.load(workspace.toml())
    assert.match(warnings.join('\n'), /^\S+:7: api\.tls\.key: .*chmod o=/)
  })
})

describe('a file of authorities', () => {
  it('is checked although nothing needs it', async () => {
    const path = await workspace.write('ca.pem', 'nothing')
    const text = workspace.toml(
      '',
      `ca_certificate = "${path}"\n[ovm]\nca_certificate = "/nonexistent/ca.pem"`,
    )
    const problems = await workspace.problems(text)
    assert.equal(problems.length, 2)
    assert.match(problems[0]!, /^FILE:8: api\.tls\.ca_certificate: \S+ holds no PEM certificate/)
    assert.match(problems[1]!, /^FILE:10: ovm\.ca_certificate: \S+ does not exist/)
  })

  it('may hold several, and one that has expired is warned of', async () => {
    const [good, expired] = await Promise.all([makePems(), makePems([-10, -1])])
    const path = await workspace.write('ca.pem', good.certificate + expired.certificate)
    const { config, warnings } = await workspace.load(workspace.toml('', `ca_certificate = "${path}"`))
    assert.equal(config.api.tls.caCertificate, path)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0]!, /^\S+:8: api\.tls\.ca_certificate: \S+ expired/)
  })
})
