import type { MetricRegistry } from './metrics.ts'

/** The names that Prometheus client libraries use for every program. */
export function addProcessMetrics(registry: MetricRegistry): void {
  const startedAt = Math.round(Date.now() / 1000 - process.uptime())
  registry.gauge(
    'process_start_time_seconds',
    'When the program started, in seconds since 1970.',
    () => startedAt,
  )
  registry.gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss())
}
