import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type AgentVm, EXAMPLE_REPOSITORY_ID, layAgentDatabase, layRepository } from './agent-repository.ts'
import { ApiClient } from './api-client.ts'
import { startServer, type TestServer } from './server.ts'
import { type TemporaryDirectory, temporaryDirectory } from './temporary-directory.ts'

/** One repository on a real filesystem, a server for it, and a client that has logged in. */
export interface Lab extends AsyncDisposable {
  readonly mount: string
  readonly server: TestServer
  readonly client: ApiClient
  /** On another filesystem, for what a client keeps. */
  readonly local: string
  /** @returns each disk's path by its file name */
  addVm(vm: AgentVm): Promise<ReadonlyMap<string, string>>
  /** Removes its configuration and its disks. */
  removeVm(vm: AgentVm): Promise<void>
}

export async function openLab({
  mountPoint,
  extraConfig,
}: {
  readonly mountPoint: string
  readonly extraConfig?: string
}): Promise<Lab> {
  const directory = await temporaryDirectory('lab')
  const agentDbDir = join(directory.path, 'agent-db')
  await layAgentDatabase(agentDbDir, [{ id: EXAMPLE_REPOSITORY_ID, alias: 'lab', mountPoint }])
  const server = await startServer({
    directory: join(directory.path, 'server'),
    agentDbDir,
    ...(extraConfig !== undefined && { extraConfig }),
  })
  const client = new ApiClient(server)
  await client.login()
  return lab(mountPoint, directory, server, client)
}

function lab(mount: string, directory: TemporaryDirectory, server: TestServer, client: ApiClient): Lab {
  return {
    mount,
    server,
    client,
    local: directory.path,
    addVm: (vm) => layRepository(mount, [vm]),
    async removeVm(vm) {
      await rm(join(mount, 'VirtualMachines', vm.id), { recursive: true })
      for (const { name } of vm.disks) await rm(join(mount, 'VirtualDisks', name))
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
    },
  }
}
