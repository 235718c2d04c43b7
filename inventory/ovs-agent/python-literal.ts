import { parsePythonNumber } from './python-number.ts'
import { joinPythonStrings, type PythonStringToken } from './python-string.ts'
import type { PythonToken } from './python-tokens.ts'

export type PythonValue =
  | { readonly type: 'string'; readonly text: string }
  | { readonly type: 'number'; readonly value: number | bigint }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'none' }
  | { readonly type: 'list' | 'tuple'; readonly items: readonly PythonValue[] }
  | { readonly type: 'dict'; readonly entries: readonly (readonly [key: PythonValue, value: PythonValue])[] }

export interface NotLiteral {
  readonly type: 'not-literal'
  readonly reason: string
}

/** Brackets within brackets. */
const MAX_DEPTH = 64

const NAMED_VALUES: ReadonlyMap<string, PythonValue> = new Map<string, PythonValue>([
  ['True', { type: 'boolean', value: true }],
  ['False', { type: 'boolean', value: false }],
  ['None', { type: 'none' }],
])

/** The value of the tokens, if all of them together are one literal. As in Python, `1, 2` is a tuple. */
export function parsePythonLiteral(tokens: readonly PythonToken[]): PythonValue | NotLiteral {
  try {
    return new LiteralParser(tokens).parse()
  } catch (error) {
    if (error instanceof Refusal) return { type: 'not-literal', reason: error.message }
    throw error
  }
}

/** Never leaves this file. */
class Refusal extends Error {}

class LiteralParser {
  readonly #tokens: readonly PythonToken[]
  #next = 0

  constructor(tokens: readonly PythonToken[]) {
    this.#tokens = tokens
  }

  parse(): PythonValue {
    if (this.#tokens.length === 0) throw new Refusal('the value is missing')
    return this.#tuple(undefined, 0)
  }

  /** One item without a comma behind it is no tuple. */
  #tuple(closer: string | undefined, depth: number): PythonValue {
    const { items, trailingComma } = this.#sequence(closer, depth)
    return items.length === 1 && !trailingComma ? items[0]! : { type: 'tuple', items }
  }

  #sequence(closer: string | undefined, depth: number): { items: PythonValue[]; trailingComma: boolean } {
    const items: PythonValue[] = []
    let comma = true
    while (comma && this.#peek() !== closer) {
      items.push(this.#value(depth))
      comma = this.#accept(',')
    }
    if (!this.#accept(closer)) throw this.#unexpected()
    return { items, trailingComma: comma }
  }

  #value(depth: number): PythonValue {
    if (depth > MAX_DEPTH) throw new Refusal(`it has brackets nested deeper than ${MAX_DEPTH}`)
    const token = this.#tokens[this.#next]
    if (token?.kind === 'string') return this.#string()
    if (token?.kind === 'number') return this.#number(1n)
    const named = token?.kind === 'name' ? NAMED_VALUES.get(token.text) : undefined
    if (named !== undefined) {
      this.#next += 1
      return named
    }
    if (this.#accept('-')) return this.#number(-1n)
    if (this.#accept('+')) return this.#number(1n)
    if (this.#accept('[')) return { type: 'list', items: this.#sequence(']', depth + 1).items }
    if (this.#accept('{')) return this.#dict(depth + 1)
    if (!this.#accept('(')) throw this.#unexpected()
    return this.#tuple(')', depth + 1)
  }

  #dict(depth: number): PythonValue {
    const entries: [PythonValue, PythonValue][] = []
    let comma = true
    while (comma && this.#peek() !== '}') {
      const key = this.#value(depth)
      if (!this.#accept(':')) throw this.#unexpected()
      entries.push([key, this.#value(depth)])
      comma = this.#accept(',')
    }
    if (!this.#accept('}')) throw this.#unexpected()
    return { type: 'dict', entries }
  }

  #string(): PythonValue {
    const parts: PythonStringToken[] = []
    for (let token = this.#tokens[this.#next]; token?.kind === 'string'; token = this.#tokens[this.#next]) {
      parts.push(token)
      this.#next += 1
    }
    const text = joinPythonStrings(parts)
    if (text === undefined)
      throw new Refusal(`the string ${parts[0]!.text.slice(0, 64)} is malformed or not UTF-8`)
    return { type: 'string', text }
  }

  #number(sign: 1n | -1n): PythonValue {
    const token = this.#tokens[this.#next]
    if (token?.kind !== 'number') throw this.#unexpected()
    const value = parsePythonNumber(token.text, sign)
    if (value === undefined)
      throw new Refusal(`the number ${token.text.slice(0, 64)} is malformed or too long`)
    this.#next += 1
    return { type: 'number', value }
  }

  /** The text of the next operator; undefined at the end and for other tokens. */
  #peek(): string | undefined {
    const token = this.#tokens[this.#next]
    return token?.kind === 'operator' ? token.text : token === undefined ? undefined : ''
  }

  /** Without text: the end. */
  #accept(text: string | undefined): boolean {
    if (this.#peek() !== text) return false
    this.#next += 1
    return true
  }

  #unexpected(): Refusal {
    const token = this.#tokens[this.#next]
    return new Refusal(
      token === undefined ? 'it ends too early' : `${token.text.slice(0, 64)} is no plain value`,
    )
  }
}
