import { join } from 'node:path'
import { DiskferryError, describe } from '../../core/errors.ts'
import { type RepositoryPlace, readRepositoryFile } from './repository-file.ts'

/** Bytes: some ten thousand files. */
const MAX_METADATA_SIZE = 4 * 1024 * 1024

/** What a repository says of one of its files. */
export interface FileMetadata {
  /** `VIRTUAL_DISK`, `VIRTUAL_CDROM`, ... */
  readonly objectType?: string
  /** The name people know the file by. */
  readonly simpleName?: string
}

/** By file name. */
export type RepositoryMetadata = ReadonlyMap<string, FileMetadata>

/**
 * Reads `.ovsmeta` of a repository; without one nothing is known of any file.
 * @throws INVENTORY_UNREADABLE
 */
export async function readOvsMetadata(place: RepositoryPlace): Promise<RepositoryMetadata> {
  const path = join(place.mountPoint, '.ovsmeta')
  const bytes = await readRepositoryFile(place, path, {
    maxBytes: MAX_METADATA_SIZE,
    refusedCode: 'INVENTORY_UNREADABLE',
  })
  return bytes === undefined ? new Map() : parseOvsMetadata(bytes, path)
}

/**
 * Reads `{"<file>": {"OBJECT_TYPE": "...", "SIMPLE_NAME": "..."}}`. What has another form is passed over.
 * @param path for errors
 * @throws INVENTORY_UNREADABLE when it is no JSON object
 */
export function parseOvsMetadata(bytes: Buffer, path: string): RepositoryMetadata {
  let document: unknown
  try {
    document = JSON.parse(bytes.toString('utf8').replace(/^\ufeff/, ''))
  } catch (cause) {
    throw new DiskferryError('INVENTORY_UNREADABLE', `${path} is not JSON: ${describe(cause)}`, { cause })
  }
  if (!isRecord(document)) throw new DiskferryError('INVENTORY_UNREADABLE', `${path} is not a JSON object`)
  const metadata = new Map<string, FileMetadata>()
  for (const [file, about] of Object.entries(document)) {
    if (!isRecord(about)) continue
    const { OBJECT_TYPE: objectType, SIMPLE_NAME: simpleName } = about as Record<
      'OBJECT_TYPE' | 'SIMPLE_NAME',
      unknown
    >
    metadata.set(file, {
      ...(typeof objectType === 'string' && /^\w{1,64}$/.test(objectType) && { objectType }),
      ...(typeof simpleName === 'string' && { simpleName }),
    })
  }
  return metadata
}

function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
