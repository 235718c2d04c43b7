import type { CheckedValues } from './checked-values.ts'
import type { Config, OvmConfig, QuiesceConfig, RetentionConfig, StaticVmConfig, TlsFiles } from './config.ts'
import { parseGoDuration } from './go-duration.ts'
import { SCHEMA } from './schema.ts'

/** Puts values that were all found good into the shape that the program works with. */
export function buildConfig(values: CheckedValues): Config {
  const logFile = values.get('log_file')
  const endpoint = values.get('ovm_endpoint')
  return {
    dbFile: values.get('db_file'),
    ...(logFile !== undefined && { logFile }),
    logLevel: values.get('log_level'),
    ...(endpoint !== undefined && { ovmEndpoint: endpoint.replace(/\/+$/, '') }),
    jwt: { secret: values.get('jwt.secret'), timeToLiveSeconds: timeToLiveSeconds(values) },
    api: {
      bind: values.get('api.bind'),
      port: values.get('api.port'),
      clientCertificates: values.get('api.client_certificates'),
      shutdownGraceMs: values.get('api.shutdown_grace'),
      connectionsPerClient: values.get('api.connections_per_client'),
      downloadsPerClient: values.get('api.downloads_per_client'),
      tls: tlsFiles(values),
    },
    ovm: ovm(values),
    inventory: {
      source: values.get('inventory.source'),
      requireMountPoint: values.get('inventory.require_mount_point'),
      answerWithinMs: values.get('inventory.answer_within'),
    },
    static: {
      repositories: values.items('static.repositories').map((index) => ({
        id: values.get('static.repositories[].id', index),
        mountPoint: values.get('static.repositories[].mount_point', index),
      })),
      vms: values.items('static.vms').map((index) => staticVm(values, index)),
    },
    auth: {
      failedLoginsPerAddress: values.get('auth.failed_logins_per_address'),
      failedLoginsPerUser: values.get('auth.failed_logins_per_user'),
      provider: values.get('auth.provider'),
      users: values.items('auth.users').map((index) => ({
        username: values.get('auth.users[].username', index),
        passwordHash: values.get('auth.users[].password_hash', index),
      })),
    },
    audit: { rate: values.get('audit.rate'), concurrent: values.get('audit.concurrent') },
    quiesce: quiesce(values),
    retention: retention(values),
    backends: values.items('backends').map((index) => ({
      module: values.get('backends[].module', index),
      options: values.get('backends[].options', index) ?? {},
    })),
  }
}

/** "0" means the default, as in the Coriolis OVM exporter. */
function timeToLiveSeconds(values: CheckedValues): number {
  const byDefault = SCHEMA.find((spec) => spec.path === 'jwt.time_to_live')!.default
  const milliseconds = values.get('jwt.time_to_live') || parseGoDuration(byDefault)!
  return Math.floor(milliseconds / 1000)
}

function tlsFiles(values: CheckedValues): TlsFiles {
  const caCertificate = values.get('api.tls.ca_certificate')
  return {
    certificate: values.get('api.tls.certificate'),
    key: values.get('api.tls.key'),
    ...(caCertificate !== undefined && { caCertificate }),
  }
}

function ovm(values: CheckedValues): OvmConfig {
  const caCertificate = values.get('ovm.ca_certificate')
  return {
    agentDbDir: values.get('ovm.agent_db_dir'),
    tls: values.get('ovm.tls'),
    ...(caCertificate !== undefined && { caCertificate }),
  }
}

function quiesce(values: CheckedValues): QuiesceConfig {
  const before = values.get('quiesce.before')
  const after = values.get('quiesce.after')
  const maxStallMs = values.get('quiesce.max_stall')
  return {
    ...(before !== undefined && { before }),
    ...(after !== undefined && { after }),
    timeoutMs: values.get('quiesce.timeout'),
    required: values.get('quiesce.required'),
    ...(maxStallMs > 0 && { maxStallMs }),
    onLongStall: values.get('quiesce.on_long_stall'),
  }
}

function retention(values: CheckedValues): RetentionConfig {
  const keepLast = values.get('retention.keep_last')
  const maxAgeMs = values.get('retention.max_age')
  return {
    ...(keepLast > 0 && { keepLast }),
    ...(maxAgeMs > 0 && { maxAgeMs }),
    intervalMs: values.get('retention.interval'),
  }
}

function staticVm(values: CheckedValues, index: number): StaticVmConfig {
  const name = values.get('static.vms[].name', index)
  return {
    name,
    uuid: values.get('static.vms[].uuid', index).toLowerCase(),
    friendlyName: values.get('static.vms[].friendly_name', index) ?? name,
    disks: values.items('static.vms[].disks', index).map((disk) => ({
      path: values.get('static.vms[].disks[].path', index, disk),
      deviceName: values.get('static.vms[].disks[].device_name', index, disk),
      mode: values.get('static.vms[].disks[].mode', index, disk),
    })),
  }
}
