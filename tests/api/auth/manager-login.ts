import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManagerAuthenticator } from '../../../api/auth/manager-authenticator.ts'
import type { ManagerTrust, PinStore } from '../../../api/auth/manager-trust.ts'
import { DiskferryError } from '../../../core/errors.ts'

export const GOOD = ['admin', 'manager-password'] as const

export class MemoryPins implements PinStore {
  readonly pins = new Map<string, string>()

  async get(host: string): Promise<string | undefined> {
    return this.pins.get(host)
  }

  async set(host: string, fingerprint: string): Promise<void> {
    this.pins.set(host, fingerprint)
  }
}

export function pinned(pins: PinStore = new MemoryPins()): ManagerTrust {
  return { mode: 'pin', pins, howToAccept: 'remove the old pin' }
}

export function asking(endpoint: string, trust: ManagerTrust, timeoutMs = 5000): ManagerAuthenticator {
  return new ManagerAuthenticator({ resolveEndpoint: async () => endpoint, trust, timeoutMs })
}

export async function failure(work: Promise<unknown>): Promise<DiskferryError> {
  const error = await work.then(
    () => assert.fail('it should have been refused'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof DiskferryError, String(error))
  return error
}

export async function withCa(pem: string, use: (trust: ManagerTrust) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'diskferry-ca-'))
  try {
    const caCertificate = join(folder, 'ca.pem')
    await writeFile(caCertificate, pem)
    await use({ mode: 'ca', caCertificate })
  } finally {
    await rm(folder, { recursive: true })
  }
}
