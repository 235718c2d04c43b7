/** What the program runs on: every key checked, every default filled in. Paths are absolute. */
export interface Config {
  readonly dbFile: string
  /** Without it the log goes to stdout. */
  readonly logFile?: string
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'
  /** Without a slash at the end. Without it the manager is looked up in the agent's database at each login. */
  readonly ovmEndpoint?: string
  readonly jwt: JwtConfig
  readonly api: ApiConfig
  readonly ovm: OvmConfig
  readonly inventory: InventoryConfig
  readonly static: StaticInventoryConfig
  readonly auth: AuthConfig
  readonly audit: AuditConfig
  readonly quiesce: QuiesceConfig
  readonly retention: RetentionConfig
  readonly backends: readonly BackendConfig[]
}

export interface JwtConfig {
  /** At least 32 bytes. */
  readonly secret: string
  /** 1 or more. */
  readonly timeToLiveSeconds: number
}

export interface ApiConfig {
  /** An IP address, version 4 or 6. */
  readonly bind: string
  /** 0 to 65535; 0 is any free port. */
  readonly port: number
  readonly clientCertificates: 'off' | 'required'
  readonly shutdownGraceMs: number
  /** 1 or more. */
  readonly connectionsPerClient: number
  /** 1 or more. */
  readonly downloadsPerClient: number
  readonly tls: TlsFiles
}

/** Paths of PEM files that could be read, parsed and belonged together when the configuration was loaded. */
export interface TlsFiles {
  readonly certificate: string
  readonly key: string
  /** Always there when `clientCertificates` is `required`. */
  readonly caCertificate?: string
}

export interface OvmConfig {
  readonly agentDbDir: string
  readonly tls: 'pin' | 'ca' | 'off'
  /** Path of a PEM file; always there when `tls` is `ca`. */
  readonly caCertificate?: string
}

export interface InventoryConfig {
  readonly source: 'ovs-agent' | 'static'
  readonly requireMountPoint: boolean
  readonly answerWithinMs: number
}

export interface StaticInventoryConfig {
  readonly repositories: readonly StaticRepositoryConfig[]
  readonly vms: readonly StaticVmConfig[]
}

export interface StaticRepositoryConfig {
  readonly id: string
  readonly mountPoint: string
}

export interface StaticVmConfig {
  readonly name: string
  /** Lower case, with dashes. */
  readonly uuid: string
  /** The name when none is configured. */
  readonly friendlyName: string
  readonly disks: readonly StaticDiskConfig[]
}

export interface StaticDiskConfig {
  readonly path: string
  /** As in vm.cfg: `xvda`, or `xvdc:cdrom`. */
  readonly deviceName: string
  readonly mode: 'w' | 'w!' | 'r'
}

export interface AuthConfig {
  /** In a minute, 1 or more. */
  readonly failedLoginsPerAddress: number
  /** In a minute, 1 or more. */
  readonly failedLoginsPerUser: number
  readonly provider: 'ovm-manager' | 'users'
  /** At least one when the provider is `users`. */
  readonly users: readonly UserConfig[]
}

export interface UserConfig {
  readonly username: string
  /** A scrypt hash that parsed. */
  readonly passwordHash: string
}

export interface AuditConfig {
  /** Bytes a second, of one audit. */
  readonly rate: number
  /** 1 or more. */
  readonly concurrent: number
}

export interface QuiesceConfig {
  /** A program, an absolute path, and its arguments; so is `after`. */
  readonly before?: readonly string[]
  readonly after?: readonly string[]
  readonly timeoutMs: number
  readonly required: boolean
  /** Without it no stall is forecast. */
  readonly maxStallMs?: number
  readonly onLongStall: 'refuse' | 'warn'
}

/** Without the first two every snapshot is kept. */
export interface RetentionConfig {
  /** 1 or more. */
  readonly keepLast?: number
  readonly maxAgeMs?: number
  readonly intervalMs: number
}

export interface BackendConfig {
  /** A package name, or a path that starts with `/`, or with `./` or `../` at the configuration's folder. */
  readonly module: string
  readonly options: Readonly<Record<string, unknown>>
}
