import btrfs from '../backends/btrfs/index.ts'
import cifs from '../backends/cifs/index.ts'
import nfs42 from '../backends/nfs42/index.ts'
import ocfs2 from '../backends/ocfs2/index.ts'
import xfs from '../backends/xfs/index.ts'
import type { Config } from '../config/config.ts'
import { BackendRegistry } from '../core/backends/backend-registry.ts'
import { loadPlugins } from '../core/backends/plugin-loader.ts'
import type { Log } from '../core/log.ts'
import type { BackendFactory } from '../core/storage-backend.ts'

/** The backends that come with Diskferry, by their names. */
export const FIRST_PARTY_BACKENDS: Readonly<Record<string, BackendFactory>> = {
  ocfs2,
  xfs,
  btrfs,
  nfs42,
  cifs,
}

/** Those of the configuration first: for a filesystem that both know they are asked before ours. */
export async function loadBackends(
  config: Config,
  configDirectory: string,
  log: Log,
): Promise<BackendRegistry> {
  const registry = new BackendRegistry()
  await loadPlugins(registry, config.backends, configDirectory, log, {
    reservedNames: Object.keys(FIRST_PARTY_BACKENDS),
  })
  for (const makeBackend of Object.values(FIRST_PARTY_BACKENDS))
    registry.register(makeBackend({}), 'diskferry')
  return registry
}
