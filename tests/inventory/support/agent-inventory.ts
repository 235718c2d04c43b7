import { OvsAgentInventory } from '../../../inventory/ovs-agent/ovs-agent-inventory.ts'
import { holdBeneath } from '../../../native/index.ts'
import { makeWatches } from '../../support/watches.ts'
import type { AgentHost } from './agent-host.ts'

/** The inventory of a host's agent, over this machine's real mounts. */
export function agentInventory({ agentDbDir }: AgentHost): OvsAgentInventory {
  return new OvsAgentInventory({ agentDbDir, hold: holdBeneath, watches: makeWatches() })
}

/** The names of the machines found, and the problems with their repositories. */
export async function inventorySummary(host: AgentHost) {
  const { vms, problems } = await agentInventory(host).read()
  return {
    vms: vms.map(({ name }) => name),
    problems: problems.map(({ repositoryId, message }) => `${repositoryId}: ${message}`),
  }
}
