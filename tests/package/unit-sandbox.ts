import { constants } from 'node:os'
import { command } from '../support/command.ts'
import { refusingCalls } from '../support/seccomp.ts'

/**
 * What stands before a command of root so that it runs with the powers and the system calls that a unit of systemd gives it.
 * What it may see of the file tree is systemd's own doing, and left out.
 *
 * @param unit text of the unit
 * @param withoutCalls refused as well, as by a systemd that does not know them
 */
export async function unitSandbox(
  unit: string,
  withoutCalls: readonly string[] = [],
): Promise<readonly string[]> {
  const setting = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1]
  const powers = (name: string) =>
    (setting(name) ?? '')
      .split(' ')
      .filter((power) => power !== '')
      .map((power) => `,+${power.replace(/^CAP_/, '').toLowerCase()}`)
      .join('')
  const allowed = await expanded((setting('SystemCallFilter') ?? '').split(' '))
  const refused = [...(await expanded(['@known']))].filter((call) => !allowed.has(call))
  return [
    ...['setpriv', `--bounding-set=-all${powers('CapabilityBoundingSet')}`],
    ...[
      `--inh-caps=-all${powers('AmbientCapabilities')}`,
      `--ambient-caps=-all${powers('AmbientCapabilities')}`,
    ],
    ...(setting('NoNewPrivileges') === 'yes' ? ['--no-new-privs'] : []),
    ...['sh', '-c', 'umask "$0" && exec "$@"', setting('UMask') ?? '0022'],
    ...refusingCalls([...refused, ...withoutCalls], constants.errno.EPERM),
  ]
}

/** The calls of groups such as `@system-service`, which hold further groups. */
async function expanded(names: readonly string[]): Promise<Set<string>> {
  const calls = new Set<string>()
  for (const name of names) {
    if (!name.startsWith('@')) calls.add(name)
    else {
      const listed = await command('systemd-analyze', ['--no-pager', 'syscall-filter', name])
      const members = listed
        .split('\n')
        .slice(1)
        .map((line) => line.trim())
      const named = members.filter((member) => member !== '' && !member.startsWith('#'))
      for (const call of await expanded(named)) calls.add(call)
    }
  }
  return calls
}
