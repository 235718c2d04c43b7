interface CommonSpec {
  /** Dotted; `[]` behind a name says that it is an array of tables: `static.vms[].name`. */
  readonly path: string
  readonly required?: true
  /** Shown in the example where there is no default. */
  readonly sample?: string
  /** The value is never shown in a message. */
  readonly secret?: true
  /** One sentence: what it is, with its range. */
  readonly doc: string
  /** One sentence: why it exists, or why the default is what it is. */
  readonly reason: string
}

/** Says what is wrong with a value and what to do, as `what is wrong; what to do`. */
export type ValueCheck<T> = (value: T) => string | undefined

interface TextSpec extends CommonSpec {
  readonly type: 'string' | 'path'
  readonly default?: string
  readonly choices?: readonly string[]
  readonly check?: ValueCheck<string>
}

interface IntegerSpec extends CommonSpec {
  readonly type: 'integer'
  readonly default?: number
  readonly check?: ValueCheck<number>
}

/** An array of strings. */
interface StringsSpec extends Omit<CommonSpec, 'sample'> {
  readonly type: 'strings'
  readonly sample: readonly string[]
  readonly check?: ValueCheck<readonly string[]>
}

interface BooleanSpec extends CommonSpec {
  readonly type: 'boolean'
  readonly default?: boolean
}

interface DurationSpec extends CommonSpec {
  readonly type: 'duration'
  /** As written in the file: `168h`. */
  readonly default?: string
  /** Gets milliseconds. */
  readonly check?: ValueCheck<number>
}

/** Keys of the user's own choosing, handed on as they are. */
interface TableSpec extends CommonSpec {
  readonly type: 'table'
}

/** One key of the configuration file. */
export type KeySpec = TextSpec | IntegerSpec | StringsSpec | BooleanSpec | DurationSpec | TableSpec
