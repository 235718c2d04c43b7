import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from 'node:tls'
import { makeCertificate } from '../support/certificate.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

async function shownBy(server: TestServer): Promise<string> {
  const socket = connect({
    host: '127.0.0.1',
    port: Number(new URL(server.baseUrl).port),
    rejectUnauthorized: false,
  })
  try {
    await once(socket, 'secureConnect')
    return socket.getPeerX509Certificate()!.toString()
  } finally {
    socket.destroy()
  }
}

/** SIGHUP, and the line that it makes. */
async function reload(server: TestServer): Promise<string> {
  const before = server.logs.length
  process.kill(server.pid, 'SIGHUP')
  for (;;) {
    const line = server.logs.slice(before).find(({ msg }) => /certificates/.test(String(msg)))
    if (line !== undefined) return String(line['msg'])
    await delay(10)
  }
}

test('SIGHUP takes the certificate anew, and keeps the old one when the new can not be used', {
  timeout: 60_000,
}, async () => {
  await using directory = await temporaryDirectory('reload')
  const folder = join(directory.path, 'server')
  const repository = join(directory.path, 'repository')
  await mkdir(repository)
  await using server = await startServer({
    directory: folder,
    extraConfig: `[[static.repositories]]\nid = "r1"\nmount_point = ${JSON.stringify(repository)}\n`,
  })
  const first = await shownBy(server)
  const made = join(directory.path, 'made')
  await mkdir(made)
  const { certificate, key, pem } = await makeCertificate(made)
  await rename(certificate, join(folder, 'server.pem'))
  // The key is still the old one: half of a renewal.
  assert.match(await reload(server), /can't be used, the old ones are kept: .*server\.key is not the key/)
  assert.equal(await shownBy(server), first)
  await rename(key, join(folder, 'server.key'))
  assert.match(await reload(server), /were read anew/)
  assert.equal((await shownBy(server)).trim(), pem.replaceAll('\r', '').trim())
  await writeFile(join(folder, 'server.pem'), 'broken')
  assert.match(await reload(server), /old ones are kept: .*holds no PEM certificate/)
  assert.equal((await shownBy(server)).trim(), pem.replaceAll('\r', '').trim())
})
