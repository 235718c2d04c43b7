import assert from 'node:assert/strict'
import { parsePythonAssignments } from '../../../inventory/ovs-agent/python-assignments.ts'
import type { PythonValue } from '../../../inventory/ovs-agent/python-literal.ts'

export const NEEDED: ReadonlySet<string> = new Set(['disk', 'name', 'uuid', 'OVM_simple_name'])

export function parse(source: string | Buffer) {
  return parsePythonAssignments(Buffer.from(source as string), NEEDED)
}

/** JSON as the oracles write it: a tagged array for what is not true, false or None. */
export function tagged(value: PythonValue): unknown {
  switch (value.type) {
    case 'string':
      return ['s', Buffer.from(value.text).toString('hex')]
    case 'number':
      return ['n', String(Number(value.value))]
    case 'boolean':
      return value.value
    case 'none':
      return null
    case 'dict':
      return ['d']
    default:
      return [value.type === 'list' ? 'l' : 't', ...value.items.map(tagged)]
  }
}

/** The value of `x = <literal>`. */
export function literal(text: string): unknown {
  const { values, conflict } = parse(`x = ${text}\n`)
  assert.equal(conflict, undefined)
  const assignment = values.get('x')
  assert.ok(assignment, `${text} is no literal`)
  return plain(assignment.value)
}

export function plain(value: PythonValue): unknown {
  switch (value.type) {
    case 'string':
      return value.text
    case 'number':
    case 'boolean':
      return value.value
    case 'none':
      return null
    case 'dict':
      return new Map(value.entries.map(([key, item]) => [plain(key), plain(item)]))
    default:
      return value.items.map(plain)
  }
}

export function conflictIn(source: string): { line: number; reason: string } | undefined {
  const { conflict } = parse(source)
  return conflict === undefined ? undefined : { line: conflict.line, reason: conflict.reason }
}
