/** What a monitoring system asks for; the text format of Prometheus, version 0.0.4. */
export interface Metrics {
  /** @throws what a gauge's source throws */
  render(): Promise<string>
}

type Labels = Readonly<Record<string, string>>

/** A number that only grows while the program runs. */
export interface Counter {
  add(amount: number, labels?: Labels): void
}

interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly samples: () =>
    | Iterable<readonly [labels: string, value: number]>
    | Promise<readonly (readonly [string, number])[]>
}

/**
 * Names and values in the order in which they were made. Label values must come from a small fixed set: no names of VMs
 * or paths, because anybody may read them.
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export class MetricRegistry implements Metrics {
  readonly #families: Family[] = []

  counter(name: string, help: string, known: readonly Labels[] = [{}]): Counter {
    const values = new Map<string, number>(known.map((labels) => [labelText(labels), 0]))
    this.#families.push({ name, type: 'counter', help, samples: () => values })
    return {
      add(amount, labels = {}) {
        const key = labelText(labels)
        values.set(key, (values.get(key) ?? 0) + amount)
      },
    }
  }

  /** @param read asked at each rendering */
  gauge(name: string, help: string, read: () => number | Promise<number>): void {
    this.#families.push({ name, type: 'gauge', help, samples: async () => [['', await read()]] })
  }

  async render(): Promise<string> {
    const lines: string[] = []
    for (const { name, type, help, samples } of this.#families) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
      for (const [labels, value] of await samples()) lines.push(`${name}${labels} ${value}`)
    }
    return `${lines.join('\n')}\n`
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
