/** A token of Python 2, as far as a file of assignments needs it. */
export type PythonToken = {
  readonly text: string
  /** From 1. */
  readonly line: number
  /** Characters before it on its line. */
  readonly column: number
} & (
  | { readonly kind: 'name' | 'number' | 'operator' }
  /** `body` is what stands between the quotes, as latin1 bytes. */
  | { readonly kind: 'string'; readonly body: string; readonly raw: boolean; readonly unicode: boolean }
  /** The end of a logical line, or `;`. */
  | { readonly kind: 'end' }
  /** Something that Python refuses, and what follows it on its line. */
  | { readonly kind: 'broken' }
)

/** From `line` on nothing can be told for sure. Python, too, refuses such a file whole. */
export interface Untokenizable {
  readonly line: number
  readonly reason: string
}

const SPACE = /[ \t\f]+|\\\n|#[^\n]*/y
const NAME = /[A-Za-z_]\w*/y
const NUMBER =
  /0[xX][\da-fA-F]+[lL]?|0[oO][0-7]+[lL]?|0[bB][01]+[lL]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[jJlL]?/y
const OPERATOR = /\*\*=?|\/\/=?|<<=?|>>=?|[-+*/%&|^=<>!]=|<>|[-+*/%&|^~<>=()[\]{},:.`@]/y
const STRING_START = /(u|r|b|ur|br|)("""|'''|"|')/iy
const CLOSERS: ReadonlyMap<string, string> = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}'],
])

/** A vm.cfg has some hundred; each takes a hundred times the memory of its text. */
const MAX_TOKENS = 100_000

/**
 * Splits Python source in tokens. Lines inside brackets and triple quotes are joined as Python joins them.
 * @param source bytes as latin1, lines ended by LF
 */
export function tokenizePython(source: string): readonly PythonToken[] | Untokenizable {
  return new Tokenizer(source).run()
}

class Tokenizer {
  readonly #source: string
  readonly #tokens: PythonToken[] = []
  readonly #open: { readonly closer: string; readonly line: number }[] = []
  #at = 0
  #line = 1
  #lineStart = 0
  #failure: Untokenizable | undefined

  constructor(source: string) {
    this.#source = source
  }

  run(): readonly PythonToken[] | Untokenizable {
    if (this.#source.includes('\0'))
      return { line: 1, reason: 'it has a NUL byte, so it is no text of ASCII or UTF-8' }
    while (this.#at < this.#source.length && this.#failure === undefined) {
      const space = this.#match(SPACE)
      if (space !== undefined) this.#advance(space[0])
      else if (!this.#end() && !this.#string()) this.#word()
      if (this.#tokens.length > MAX_TOKENS) this.#fail(`it has more than ${MAX_TOKENS} words and signs`)
    }
    const unclosed = this.#open[0]
    if (this.#failure !== undefined) return this.#failure
    if (unclosed !== undefined) return { line: unclosed.line, reason: `a ${unclosed.closer} is missing` }
    return this.#tokens
  }

  #end(): boolean {
    const char = this.#source.charAt(this.#at)
    if (char !== '\n' && char !== ';') return false
    if (this.#open.length === 0) this.#push('end', char)
    else if (char === '\n') this.#advance(char)
    else this.#fail(`there is a ; where a ${this.#open.at(-1)!.closer} is missing`)
    return true
  }

  #string(): boolean {
    const start = this.#match(STRING_START)
    if (start === undefined) return false
    const [opening, prefix = '', quote = ''] = start
    const bodyStart = this.#at + opening.length
    const bodyEnd = closingQuote(this.#source, bodyStart, quote)
    if (bodyEnd === undefined) {
      if (quote.length === 3) this.#fail('a triple-quoted string is never closed')
      else if (this.#open.length > 0) this.#fail('a string is not closed on its line')
      else this.#push('broken', this.#restOfLine())
      return true
    }
    const text = this.#source.slice(this.#at, bodyEnd + quote.length)
    this.#tokens.push({
      kind: 'string',
      text,
      body: this.#source.slice(bodyStart, bodyEnd),
      raw: /r/i.test(prefix),
      unicode: /u/i.test(prefix),
      ...this.#place(),
    })
    this.#advance(text)
    return true
  }

  #word(): void {
    const name = this.#match(NAME)?.[0]
    const number = this.#match(NUMBER)?.[0]
    if (name !== undefined) this.#push('name', name)
    else if (number !== undefined) this.#push('number', number)
    else this.#operator()
  }

  #operator(): void {
    const operator = this.#match(OPERATOR)?.[0]
    if (operator === undefined) {
      this.#push('broken', this.#restOfLine())
      return
    }
    const closer = CLOSERS.get(operator)
    if (closer !== undefined) this.#open.push({ closer, line: this.#line })
    else if (/[)\]}]/.test(operator) && this.#open.pop()?.closer !== operator) {
      this.#fail(`there is a ${operator} that closes nothing`)
    }
    this.#push('operator', operator)
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#source) ?? undefined
  }

  #restOfLine(): string {
    const newline = this.#source.indexOf('\n', this.#at)
    return this.#source.slice(this.#at, newline === -1 ? undefined : newline)
  }

  #place(): { line: number; column: number } {
    return { line: this.#line, column: this.#at - this.#lineStart }
  }

  #push(kind: 'name' | 'number' | 'operator' | 'end' | 'broken', text: string): void {
    this.#tokens.push({ kind, text, ...this.#place() })
    this.#advance(text)
  }

  #advance(text: string): void {
    for (let newline = text.indexOf('\n'); newline !== -1; newline = text.indexOf('\n', newline + 1)) {
      this.#line += 1
      this.#lineStart = this.#at + newline + 1
    }
    this.#at += text.length
  }

  #fail(reason: string): void {
    this.#failure ??= { line: this.#line, reason }
  }
}

/** Where the closing quote stands. A backslash keeps the next character from closing, in raw strings too. */
function closingQuote(source: string, from: number, quote: string): number | undefined {
  for (let at = from; at < source.length; at += 1) {
    const char = source.charAt(at)
    if (char === '\\') at += 1
    else if (source.startsWith(quote, at)) return at
    else if (char === '\n' && quote.length === 1) return undefined
  }
  return undefined
}
