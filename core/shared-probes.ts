import type { Inventory } from './inventory.ts'
import type { Metrics } from './metrics/metrics.ts'
import type { Readiness } from './services.ts'
import { SharedResult } from './shared-result.ts'
import type { SnapshotStore } from './snapshots/snapshot-store.ts'

/** Is the database open and the inventory readable? Strangers may ask, and reading an inventory is work. */
export class SharedReadiness implements Readiness {
  readonly #checked: SharedResult<void>

  constructor(store: Pick<SnapshotStore, 'read'>, inventory: Inventory, freshMs?: number) {
    this.#checked = new SharedResult(async () => {
      await store.read('readiness')
      await inventory.read()
    }, freshMs)
  }

  check(): Promise<void> {
    return this.#checked.get()
  }
}

/** Strangers may ask for them, and some are counted in the database. */
export class SharedMetrics implements Metrics {
  readonly #rendered: SharedResult<string>

  constructor(metrics: Metrics, freshMs?: number) {
    this.#rendered = new SharedResult(() => metrics.render(), freshMs)
  }

  render(): Promise<string> {
    return this.#rendered.get()
  }
}
