import type { KeySpec } from './key-spec.ts'
import { SCHEMA } from './schema.ts'

/** A table of the schema: the names it may hold. */
export interface TableNode {
  readonly kind: 'table' | 'array'
  readonly children: ReadonlyMap<string, SchemaNode>
}

export interface KeyNode {
  readonly kind: 'key'
  readonly spec: KeySpec
}

export type SchemaNode = TableNode | KeyNode

/** The schema as the document is nested: tables, arrays of tables, and keys in them. */
export const SCHEMA_TREE: TableNode = { kind: 'table', children: childrenOf(SCHEMA, 0) }

function childrenOf(specs: readonly KeySpec[], depth: number): ReadonlyMap<string, SchemaNode> {
  const children = new Map<string, SchemaNode>()
  for (const part of new Set(specs.map((spec) => partOf(spec, depth)))) {
    const group = specs.filter((spec) => partOf(spec, depth) === part)
    const leaf = group.find((spec) => partOf(spec, depth + 1) === undefined)
    if (leaf !== undefined) children.set(part!, { kind: 'key', spec: leaf })
    else if (part!.endsWith('[]')) children.set(part!.slice(0, -2), tableNode('array', group, depth))
    else children.set(part!, tableNode('table', group, depth))
  }
  return children
}

function tableNode(kind: TableNode['kind'], group: readonly KeySpec[], depth: number): TableNode {
  return { kind, children: childrenOf(group, depth + 1) }
}

function partOf(spec: KeySpec, depth: number): string | undefined {
  return spec.path.split('.')[depth]
}
