/** A value of a TOML document in words: `a string`, `an array`. */
export function tomlType(value: unknown): string {
  if (typeof value === 'string') return 'a string'
  if (typeof value === 'boolean') return 'true or false'
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a number with a fraction'
  if (Array.isArray(value)) return 'an array'
  return value instanceof Date ? 'a date' : 'a table'
}

/** The same for a table of the document, as against an array, a date or a plain value. */
export function isTomlTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && tomlType(value) === 'a table'
}
