import { withIndices } from './key-path.ts'
import type { SCHEMA } from './schema.ts'

type Spec = (typeof SCHEMA)[number]

/** The path of a key of the schema, with `[]` for arrays. */
export type KeyPath = Spec['path']

type SpecOf<P extends KeyPath> = Extract<Spec, { readonly path: P }>

interface Types {
  readonly string: string
  readonly path: string
  readonly integer: number
  readonly strings: readonly string[]
  readonly boolean: boolean
  readonly duration: number
  readonly table: Readonly<Record<string, unknown>>
}

type Present<S extends Spec> = S extends { readonly choices: readonly (infer Choice)[] }
  ? Choice
  : Types[S['type']]

/** What a key holds after checking: never undefined where the schema says `required` or has a default. */
export type ValueOf<P extends KeyPath> =
  SpecOf<P> extends { readonly required: true } | { readonly default: unknown }
    ? Present<SpecOf<P>>
    : Present<SpecOf<P>> | undefined

/** The values of a document: durations in milliseconds, paths absolute, defaults filled in. */
export class CheckedValues {
  readonly #values: ReadonlyMap<string, unknown>
  readonly #lengths: ReadonlyMap<string, number>

  /** Keys and arrays by the names of key-path.ts; a key whose value was refused is absent. */
  constructor(values: ReadonlyMap<string, unknown>, lengths: ReadonlyMap<string, number>) {
    this.#values = values
    this.#lengths = lengths
  }

  /** Only after no problem was found: before, even a required value can be missing. See `find`. */
  get<P extends KeyPath>(path: P, ...indices: readonly number[]): ValueOf<P> {
    return this.#values.get(withIndices(path, indices)) as ValueOf<P>
  }

  /** The value if there is a good one. */
  find<P extends KeyPath>(path: P, ...indices: readonly number[]): Present<SpecOf<P>> | undefined {
    return this.#values.get(withIndices(path, indices)) as Present<SpecOf<P>> | undefined
  }

  /** The indices of an array of tables: `static.vms[].disks` of VM 2 is `items('static.vms[].disks', 2)`. */
  items(path: string, ...indices: readonly number[]): readonly number[] {
    return [...Array(this.#lengths.get(withIndices(path, indices)) ?? 0).keys()]
  }
}
