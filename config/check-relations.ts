import type { CheckedValues, KeyPath } from './checked-values.ts'
import { withIndices } from './key-path.ts'
import type { Problems } from './problems.ts'

/** Checks what no key can be checked for by itself: what one demands of another, and what must be unique. */
export function checkRelations(values: CheckedValues, problems: Problems): void {
  checkAuthorities(values, problems)
  checkManager(values, problems)
  checkInventory(values, problems)
  checkUsers(values, problems)
  checkQuiesce(values, problems)
  const logFile = values.find('log_file')
  if (logFile !== undefined && logFile === values.find('db_file')) {
    problems.report('log_file', 'is the same file as db_file; the log needs a file of its own')
  }
}

function checkAuthorities(values: CheckedValues, problems: Problems): void {
  if (values.find('api.client_certificates') === 'required' && !values.find('api.tls.ca_certificate')) {
    problems.report(
      'api.tls.ca_certificate',
      'is missing or wrong, and client_certificates = "required" needs it; set it',
    )
  }
  if (values.find('ovm.tls') === 'ca' && !values.find('ovm.ca_certificate')) {
    problems.report(
      'ovm.ca_certificate',
      'is missing or wrong, and tls = "ca" needs it; set it, or use tls = "pin"',
    )
  }
}

function checkManager(values: CheckedValues, problems: Problems): void {
  if (values.find('auth.provider') !== 'ovm-manager') return
  const mode = values.find('ovm.tls')
  const endpoint = values.find('ovm_endpoint')
  if (endpoint !== undefined && new URL(endpoint).protocol === 'http:' && mode !== 'off') {
    problems.report(
      'ovm_endpoint',
      'is not https, so passwords could be read on the way; use https, or ovm.tls = "off"',
    )
  }
  if (mode === 'off') {
    problems.warn(
      'ovm.tls',
      'is "off": whoever sits on the way to the manager can read passwords; use "pin" or "ca"',
    )
  }
}

function checkInventory(values: CheckedValues, problems: Problems): void {
  const repositories = values.items('static.repositories')
  if (values.find('inventory.source') === 'static' && repositories.length === 0) {
    problems.report(
      'inventory.source',
      'is "static", but there is no repository; add a [[static.repositories]]',
    )
  }
  if (values.find('inventory.source') === 'ovs-agent') {
    for (const table of ['static.repositories', 'static.vms'] as const) {
      if (values.items(table).length > 0) {
        problems.warn(
          `${table}[0]`,
          'is not used, since inventory.source is not "static"; set that, or remove this',
        )
      }
    }
  }
  unique(values, problems, 'static.repositories[].id', each(repositories))
  unique(values, problems, 'static.repositories[].mount_point', each(repositories))
  const vms = values.items('static.vms')
  unique(values, problems, 'static.vms[].name', each(vms))
  unique(values, problems, 'static.vms[].uuid', each(vms))
  for (const vm of vms) {
    const disks = values.items('static.vms[].disks', vm).map((disk) => [vm, disk])
    unique(values, problems, 'static.vms[].disks[].device_name', disks)
    unique(values, problems, 'static.vms[].disks[].path', disks)
  }
}

function checkUsers(values: CheckedValues, problems: Problems): void {
  const users = values.items('auth.users')
  const provider = values.find('auth.provider')
  if (provider === 'users' && users.length === 0) {
    problems.report('auth.provider', 'is "users", but there is no user; add an [[auth.users]]')
  }
  if (provider === 'ovm-manager' && users.length > 0) {
    problems.warn(
      'auth.users[0]',
      'is not used, since auth.provider is not "users"; set that, or remove this',
    )
  }
  unique(values, problems, 'auth.users[].username', each(users))
}

function checkQuiesce(values: CheckedValues, problems: Problems): void {
  const [before, after] = [values.find('quiesce.before'), values.find('quiesce.after')]
  if (values.find('quiesce.required') && before === undefined) {
    problems.report(
      'quiesce.required',
      'is true, but there is no good quiesce.before; set that, or remove this',
    )
  }
  if (before !== undefined && after === undefined) {
    problems.warn(
      'quiesce.before',
      'has no quiesce.after beside it: a guest that it brings to rest stays so; add one',
    )
  }
}

function each(items: readonly number[]): readonly (readonly number[])[] {
  return items.map((item) => [item])
}

/** The value itself is not repeated: somebody may have put a secret there. */
function unique(
  values: CheckedValues,
  problems: Problems,
  path: KeyPath,
  places: readonly (readonly number[])[],
): void {
  const seen = new Map<string, string>()
  for (const indices of places) {
    const value = values.find(path, ...indices)
    if (typeof value !== 'string') continue
    const place = withIndices(path, indices)
    const identity = path === 'static.vms[].uuid' ? value.toLowerCase() : value
    const first = seen.get(identity)
    if (first === undefined) seen.set(identity, place)
    else problems.report(place, `is the same as in line ${problems.lineOf(first)}; each must be different`)
  }
}
