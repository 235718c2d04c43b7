import { checkValue } from './check-value.ts'
import { CheckedValues } from './checked-values.ts'
import { closestWord } from './closest-word.ts'
import { childPath, itemPath } from './key-path.ts'
import type { KeySpec } from './key-spec.ts'
import type { Problems } from './problems.ts'
import { SCHEMA } from './schema.ts'
import { SCHEMA_TREE, type TableNode } from './schema-tree.ts'
import { isTomlTable, tomlType } from './toml-type.ts'

type Table = Readonly<Record<string, unknown>>

/** Checks every key of a parsed document by itself, reports what is wrong and returns what is right. */
export function checkDocument(document: Table, problems: Problems): CheckedValues {
  const walk = new DocumentWalk(problems)
  walk.table(SCHEMA_TREE, document, '')
  return new CheckedValues(walk.values, walk.lengths)
}

class DocumentWalk {
  readonly values = new Map<string, unknown>()
  readonly lengths = new Map<string, number>()
  readonly #problems: Problems

  constructor(problems: Problems) {
    this.#problems = problems
  }

  table(node: TableNode, table: Table, path: string): void {
    for (const key of Object.keys(table)) {
      if (!node.children.has(key)) this.#problems.report(childPath(path, key), unknownKey(key, node))
    }
    for (const [name, child] of node.children) {
      const place = childPath(path, name)
      const value = table[name]
      if (child.kind === 'key') this.#key(child.spec, value, place)
      else if (child.kind === 'array') this.#array(child, value, place)
      else if (value === undefined || isTomlTable(value)) this.table(child, value ?? {}, place)
      else this.#problems.report(place, `is ${tomlType(value)}; write it as the table [${place}]`)
    }
  }

  #array(node: TableNode, value: unknown, path: string): void {
    if (value === undefined) return
    if (!Array.isArray(value) || !value.every(isTomlTable)) {
      const heading = path.replaceAll(/\[\d+\]/g, '')
      this.#problems.report(path, `is ${tomlType(value)}; start each of its tables with [[${heading}]]`)
      return
    }
    this.lengths.set(path, value.length)
    for (const [index, item] of value.entries()) this.table(node, item, itemPath(path, index))
  }

  #key(spec: KeySpec, given: unknown, path: string): void {
    const value = given === undefined || given === '' ? defaultOf(spec) : given
    if (value === undefined) {
      if (spec.required) this.#problems.report(path, `is missing; set it. ${spec.doc}`)
      return
    }
    const verdict = checkValue(spec, value)
    if ('problem' in verdict) this.#problems.report(path, verdict.problem)
    else this.values.set(path, verdict.value)
  }
}

function defaultOf(spec: KeySpec): unknown {
  return 'default' in spec ? spec.default : undefined
}

function unknownKey(key: string, node: TableNode): string {
  const elsewhere = SCHEMA.find((spec) => spec.path.split('.').at(-1) === key)
  if (elsewhere !== undefined) return `is not known here; its place is ${placeOf(elsewhere.path)}`
  const close = closestWord(key, node.children.keys())
  return close === undefined ? 'is not known; remove it' : `is not known; did you mean ${close}?`
}

/** In TOML a key belongs to the heading above it, so keys of the document must come first. */
function placeOf(path: string): string {
  const names = path.split('.')
  if (names.length === 1) return 'at the top of the file, before the first [table]'
  const heading = names.slice(0, -1).join('.')
  return heading.endsWith('[]')
    ? `below [[${heading.replaceAll('[]', '')}]]`
    : `below [${heading.replaceAll('[]', '')}]`
}
