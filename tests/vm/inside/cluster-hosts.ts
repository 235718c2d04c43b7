/** The machines of a cluster, by number. */
export const CLUSTER_HOSTS = [
  { hostname: 'host-0', address: '10.0.3.1' },
  { hostname: 'host-1', address: '10.0.3.2' },
] as const

/** Has the machine's own number. */
export const HOST_VARIABLE = 'DISKFERRY_CLUSTER_HOST'
