import { join, posix } from 'node:path'
import { DiskferryError, describe } from '../../core/errors.ts'
import type { InventoryProblem, Repository } from '../../core/inventory.ts'
import { type DbEntry, readBerkeleyDbHash } from './berkeley-db-hash.ts'
import { unpickleStrings } from './pickle.ts'
import { decodeUtf8 } from './python-text.ts'

/** Far more than a manager lets one server have. */
const MAX_REPOSITORIES = 4096

export interface RepositoryListing {
  /** By id, ascending. */
  readonly repositories: readonly Repository[]
  readonly problems: readonly InventoryProblem[]
}

/**
 * The repositories that the ovs-agent knows: `repository` in its database folder, id -> pickled dictionary.
 * @throws INVENTORY_UNREADABLE when the file can't be read; the signal's reason
 */
export async function readOvsRepositories(
  agentDbDir: string,
  signal?: AbortSignal,
): Promise<RepositoryListing> {
  const path = join(agentDbDir, 'repository')
  const entries = await readEntries(path, signal)
  const repositories: Repository[] = []
  const problems: InventoryProblem[] = []
  const report = (message: string, repositoryId?: string): void => {
    problems.push(repositoryId === undefined ? { message } : { repositoryId, message })
  }
  if (entries.length > MAX_REPOSITORIES) {
    report(`${path} names ${entries.length} repositories; only the first ${MAX_REPOSITORIES} are used`)
  }
  for (const entry of entries.sort((a, b) => Buffer.compare(a.key, b.key)).slice(0, MAX_REPOSITORIES)) {
    const id = readId(entry.key)
    if (id === undefined) {
      report(
        `${path} has a repository whose id ${JSON.stringify(entry.key.toString('latin1', 0, 64))} can't be used`,
      )
      continue
    }
    try {
      const repository = readRepository(id, entry.value, path)
      const other = repositories.find(({ mountPoint }) => mountPoint === repository.mountPoint)
      if (other === undefined) repositories.push(repository)
      else
        report(
          `repository ${id} has the mount point of repository ${other.id}, ${other.mountPoint}; it is left out`,
          id,
        )
    } catch (error) {
      if (!(error instanceof DiskferryError)) throw error
      report(error.message, id)
    }
  }
  return { repositories, problems }
}

async function readEntries(path: string, signal?: AbortSignal): Promise<DbEntry[]> {
  try {
    return await readBerkeleyDbHash(path, signal)
  } catch (cause) {
    if (!(cause instanceof DiskferryError)) throw cause
    const advice =
      'Is this an Oracle VM Server? Set [ovm] agent_db_dir, or describe the machines with [inventory] source = "static"'
    throw new DiskferryError(
      'INVENTORY_UNREADABLE',
      `The repositories of the ovs-agent can't be read: ${describe(cause)}. ${advice}`,
      { cause, clientMessage: "The list of repositories can't be read on the host; its log says why." },
    )
  }
}

function readId(key: Buffer): string | undefined {
  const id = decodeUtf8(key.toString('latin1'))
  return id !== undefined && id.length > 0 && id.length <= 255 && !/[/\p{Cc}]|^\.{1,2}$/u.test(id)
    ? id
    : undefined
}

function readRepository(id: string, value: Buffer, path: string): Repository {
  const fields = unpickleStrings(value, `the entry of repository ${id} in ${path}`)
  const mountPoint = fields.get('mount_point')?.replace(/(?<=.)\/$/, '')
  if (mountPoint === undefined) {
    throw new DiskferryError('PICKLE_INVALID', `the entry of repository ${id} in ${path} has no mount_point`)
  }
  const normal = posix.isAbsolute(mountPoint) && posix.normalize(mountPoint) === mountPoint
  if (!normal || /[\p{Cc}\p{Surrogate}]/u.test(mountPoint)) {
    const shown = JSON.stringify(mountPoint.slice(0, 256))
    throw new DiskferryError(
      'PICKLE_INVALID',
      `the mount point ${shown} of repository ${id} in ${path} is not an absolute, normalised path`,
    )
  }
  return { id, mountPoint, alias: fields.get('alias') ?? '' }
}
