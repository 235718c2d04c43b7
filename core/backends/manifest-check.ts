import { DiskferryError } from '../errors.ts'
import { BACKEND_API_VERSION, type StorageBackend } from '../storage-backend.ts'

const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/
const OPERATIONS = ['checkCompatibility', 'clone', 'extentMap', 'diff'] as const

/**
 * Is this a storage backend of the version that this program speaks?
 *
 * @param origin where it came from, for the message: `first-party`, a module's name
 * @throws BACKEND_INVALID
 */
export function checkBackendShape(candidate: unknown, origin: string): StorageBackend {
  const refuse = (what: string): never => {
    throw new DiskferryError(
      'BACKEND_INVALID',
      `the storage backend from ${origin} can't be used: ${what}; see docs/writing-a-backend.md`,
    )
  }
  if (typeof candidate !== 'object' || candidate === null) return refuse('it is not an object')
  const backend = candidate as Partial<StorageBackend>
  const { manifest } = backend
  if (typeof manifest !== 'object' || manifest === null) return refuse('it has no manifest')
  if (manifest.apiVersion !== BACKEND_API_VERSION) {
    return refuse(
      `it was made for version ${String(manifest.apiVersion)} of the contract, this program has ${BACKEND_API_VERSION}`,
    )
  }
  if (typeof manifest.name !== 'string' || !NAME.test(manifest.name)) {
    return refuse(`its name ${JSON.stringify(manifest.name)} is not 1 to 32 of a-z, 0-9 and -`)
  }
  if (!isListOfNames(manifest.filesystems)) return refuse('manifest.filesystems is not a list of names')
  if (typeof manifest.description !== 'string') return refuse('manifest.description is not a string')
  if (manifest.difference !== 'physical' && manifest.difference !== 'content') {
    return refuse('manifest.difference is neither "physical" nor "content"')
  }
  for (const operation of OPERATIONS) {
    if (typeof backend[operation] !== 'function') return refuse(`it has no ${operation}()`)
  }
  return candidate as StorageBackend
}

function isListOfNames(value: unknown): boolean {
  return (
    Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string' && item !== '')
  )
}
