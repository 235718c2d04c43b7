import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeBerkeleyDbHash } from '../../../inventory/ovs-agent/berkeley-db-hash-writer.ts'
import { pickleStrings } from '../../../inventory/ovs-agent/pickle-writer.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

/** The folders of a hypervisor host, as far as the inventory looks at them. */
export interface AgentHost extends AsyncDisposable {
  readonly agentDbDir: string
  /** Where a repository is, by its id. */
  mountPoint(id: string): string
  /** Makes the folder of each repository and writes the agent's database. */
  register(...ids: readonly string[]): Promise<void>
  /** Writes the database with these entries as they are. */
  writeRepositories(entries: readonly (readonly [string, Buffer])[]): Promise<void>
  /** Writes a file of a repository, with the folders above it. */
  write(id: string, path: string, content: string | Buffer): Promise<string>
}

export async function agentHost(): Promise<AgentHost> {
  const directory = await temporaryDirectory('agent-host')
  const agentDbDir = join(directory.path, 'db')
  await mkdir(agentDbDir)
  const mountPoint = (id: string) => join(directory.path, 'OVS', id)
  const writeRepositories = (entries: readonly (readonly [string, Buffer])[]) =>
    writeFile(join(agentDbDir, 'repository'), writeBerkeleyDbHash(entries))
  return {
    agentDbDir,
    mountPoint,
    writeRepositories,
    async register(...ids) {
      for (const id of ids) await mkdir(join(mountPoint(id), 'VirtualMachines'), { recursive: true })
      const entry = (id: string) =>
        pickleStrings({ mount_point: mountPoint(id), alias: `alias of ${id}`, version: '3.0' })
      await writeRepositories(ids.map((id) => [id, entry(id)]))
    },
    async write(id, path, content) {
      const file = join(mountPoint(id), path)
      await mkdir(join(file, '..'), { recursive: true })
      await rm(file, { force: true })
      await writeFile(file, content)
      return file
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}
