import { bindsAnyOf } from './python-bindings.ts'
import { type PythonValue, parsePythonLiteral } from './python-literal.ts'
import { type PythonToken, tokenizePython } from './python-tokens.ts'

export interface PythonAssignment {
  readonly value: PythonValue
  readonly line: number
}

/** A statement that was passed over. */
export interface IgnoredStatement {
  readonly line: number
  readonly reason: string
}

export interface PythonAssignments {
  /** The last of each name. */
  readonly values: ReadonlyMap<string, PythonAssignment>
  readonly ignored: readonly IgnoredStatement[]
  /**
   * The first place where a needed name may get a value that can't be told: nothing of the file may be believed.
   */
  readonly conflict: IgnoredStatement | undefined
}

/**
 * Reads the assignments `name = literal` and `name += [literal, ...]` of Python 2 source without running it.
 * Other statements are passed over, unless they may change one of the `needed` names.
 * @param source UTF-8 or ASCII
 */
export function parsePythonAssignments(source: Buffer, needed: ReadonlySet<string>): PythonAssignments {
  const values = new Map<string, PythonAssignment>()
  const ignored: IgnoredStatement[] = []
  const tokens = tokenizePython(normalise(source))
  if ('reason' in tokens) return { values, ignored, conflict: tokens }
  let conflict: IgnoredStatement | undefined
  for (const statement of statements(tokens)) {
    const { line } = statement.tokens[0]!
    const assigned = assign(statement, values)
    if ('value' in assigned) values.set(assigned.name, { value: assigned.value, line })
    else {
      ignored.push({ line, reason: assigned.reason })
      if (bindsAnyOf(needed, statement.tokens)) conflict ??= { line, reason: assigned.reason }
    }
  }
  return { values, ignored, conflict }
}

interface Statement {
  readonly tokens: readonly PythonToken[]
  /** Part of a block, such as the body of an `if`: it may run or not. */
  readonly inBlock: boolean
}

const BLOCK = /^(class|def|elif|else|except|finally|for|if|try|while|with)$/

type Assigned = { readonly name: string; readonly value: PythonValue } | { readonly reason: string }

function assign(statement: Statement, values: ReadonlyMap<string, PythonAssignment>): Assigned {
  const [target, operator, ...rest] = statement.tokens
  if (target?.kind !== 'name' || operator?.kind !== 'operator' || !/^\+?=$/.test(operator.text)) {
    return { reason: `${show(statement.tokens)} is no plain assignment` }
  }
  if (statement.inBlock) return { reason: `the assignment to ${target.text} is indented or in a block` }
  const value = parsePythonLiteral(rest)
  if (value.type === 'not-literal') return { reason: `${target.text} gets no plain value: ${value.reason}` }
  if (operator.text === '=') return { name: target.text, value }
  const before = values.get(target.text)?.value
  if (before?.type !== 'list' || (value.type !== 'list' && value.type !== 'tuple')) {
    return { reason: `${target.text} += is known only for a list that is there already` }
  }
  return { name: target.text, value: { type: 'list', items: [...before.items, ...value.items] } }
}

function* statements(tokens: readonly PythonToken[]): Generator<Statement> {
  let current: PythonToken[] = []
  let inBlock = false
  let lineBegins = true
  for (const token of tokens) {
    if (token.kind !== 'end') {
      // After `if x:` all the statements of the line belong to the block.
      if (lineBegins) inBlock = token.column > 0 || BLOCK.test(token.text)
      lineBegins = false
      current.push(token)
      continue
    }
    if (current.length > 0) yield { tokens: current, inBlock }
    current = []
    lineBegins = token.text === '\n'
  }
  if (current.length > 0) yield { tokens: current, inBlock }
}

/** Latin1, one character a byte, lines ended by LF as Python reads them, without a byte order mark. */
function normalise(source: Buffer): string {
  return source
    .toString('latin1')
    .replace(/^\xef\xbb\xbf/, '')
    .replace(/\r\n?/g, '\n')
}

function show(tokens: readonly PythonToken[]): string {
  return tokens
    .slice(0, 4)
    .map((token) => token.text.slice(0, 32))
    .join(' ')
}
