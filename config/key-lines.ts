import { parse } from 'smol-toml'
import { childPath, itemPath } from './key-path.ts'

/** Deeper keys are not named: no key of ours is, and the names of a hostile file would grow with its square. */
const MAX_DEPTH = 8

interface Place {
  readonly path: string
  readonly depth: number
}

const DOCUMENT: Place = { path: '', depth: 0 }
const TOO_DEEP: Place = { path: '', depth: MAX_DEPTH + 1 }

/**
 * The line, from 1, of every key, table and array item of a TOML document, under the names of key-path.ts.
 *
 * The parser gives no lines for values, hence this scanner. It relies on the parser having accepted the text.
 */
export function keyLines(text: string): ReadonlyMap<string, number> {
  return new KeyLineScanner(text).scan()
}

class KeyLineScanner {
  readonly #text: string
  readonly #lines = new Map<string, number>()
  /** How many items each `[[array]]` has so far. */
  readonly #items = new Map<string, number>()
  #at = 0
  #line = 1
  #lineCountedTo = 0

  constructor(text: string) {
    this.#text = text
  }

  scan(): ReadonlyMap<string, number> {
    let table = DOCUMENT
    if (this.#text.startsWith('\ufeff')) this.#at++
    for (this.#skipBlank(); this.#at < this.#text.length; this.#skipBlank()) {
      if (this.#peek() === '[') table = this.#header()
      else this.#assignment(table)
    }
    return this.#lines
  }

  #header(): Place {
    const isArray = this.#text.startsWith('[[', this.#at)
    this.#at += isArray ? 2 : 1
    const names = this.#key()
    this.#at += isArray ? 2 : 1
    let place = DOCUMENT
    for (const [index, name] of names.entries()) {
      place = this.#enter(place, name)
      const last = index === names.length - 1
      const items = this.#items.get(place.path)
      if (last && isArray) {
        this.#items.set(place.path, (items ?? 0) + 1)
        place = this.#record(itemPath(place.path, items ?? 0), place.depth)
      } else if (items !== undefined) {
        place = { path: itemPath(place.path, items - 1), depth: place.depth }
      }
    }
    return place
  }

  #assignment(table: Place): void {
    let place = table
    for (const name of this.#key()) place = this.#enter(place, name)
    this.#at++
    this.#skipBlank()
    this.#value(place)
  }

  #value(place: Place): void {
    const first = this.#peek()
    if (first === '"' || first === "'") this.#string(first)
    else if (first === '[') this.#array(place)
    else if (first === '{') this.#inlineTable(place)
    else this.#skipTo(/[\n#,\]}]|$/g)
  }

  #array(place: Place): void {
    this.#at++
    for (let index = 0; this.#more(']'); index++) {
      this.#value(this.#record(itemPath(place.path, index), place.depth))
    }
    this.#at++
  }

  #inlineTable(table: Place): void {
    this.#at++
    while (this.#more('}')) this.#assignment(table)
    this.#at++
  }

  /** Goes to the next item; false at the closing bracket or the end. */
  #more(closing: string): boolean {
    this.#skipBlank()
    if (this.#peek() === ',') {
      this.#at++
      this.#skipBlank()
    }
    return this.#at < this.#text.length && this.#peek() !== closing
  }

  /** The parts of a dotted key, up to the sign behind it. */
  #key(): string[] {
    const names: string[] = []
    do {
      if (names.length > 0) this.#at++
      this.#skipSpaces()
      names.push(this.#keyPart())
      this.#skipSpaces()
    } while (this.#peek() === '.')
    return names
  }

  #keyPart(): string {
    const start = this.#at
    const first = this.#peek()
    if (first !== '"' && first !== "'") {
      this.#skipTo(/[^A-Za-z0-9_-]|$/g)
      return this.#text.slice(start, this.#at)
    }
    this.#string(first)
    const quoted = this.#text.slice(start, this.#at)
    if (first === "'" || !quoted.includes('\\')) return quoted.slice(1, -1)
    return String(Object.values(parse(`key = ${quoted}`))[0])
  }

  #string(mark: string): void {
    const fence = mark.repeat(3)
    const isMultiLine = this.#text.startsWith(fence, this.#at)
    const closing = isMultiLine ? fence : mark
    this.#at += closing.length
    while (this.#at < this.#text.length && !this.#text.startsWith(closing, this.#at)) {
      this.#at += mark === '"' && this.#peek() === '\\' ? 2 : 1
    }
    this.#at += closing.length
    // Up to two quotes may stand before the closing three: """a quote""""" ends with five.
    for (let extra = 0; isMultiLine && extra < 2 && this.#peek() === mark; extra++) this.#at++
  }

  #skipBlank(): void {
    for (;;) {
      this.#skipTo(/[^ \t\r\n]|$/g)
      if (this.#peek() !== '#') return
      this.#skipTo(/\n|$/g)
    }
  }

  #skipSpaces(): void {
    this.#skipTo(/[^ \t]|$/g)
  }

  #skipTo(pattern: RegExp): void {
    pattern.lastIndex = this.#at
    this.#at = pattern.exec(this.#text)?.index ?? this.#text.length
  }

  #peek(): string {
    return this.#text.charAt(this.#at)
  }

  #enter(table: Place, name: string): Place {
    if (table.depth >= MAX_DEPTH) return TOO_DEEP
    return this.#record(childPath(table.path, name), table.depth + 1)
  }

  /** The first line that names a place is the one to show. */
  #record(path: string, depth: number): Place {
    for (; this.#lineCountedTo < this.#at; this.#lineCountedTo++) {
      if (this.#text[this.#lineCountedTo] === '\n') this.#line++
    }
    if (depth <= MAX_DEPTH && !this.#lines.has(path)) this.#lines.set(path, this.#line)
    return { path, depth }
  }
}
