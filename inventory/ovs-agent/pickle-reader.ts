import { BufferReader } from 'pickleparser'
import { DiskferryError } from '../../core/errors.ts'
import { decodeUtf8, unescapeBytes, unescapeRawUnicode } from './python-text.ts'

/** The opcodes that Python 2 writes for plain data in protocols 0 to 2; see pickletools.py. */
const OPCODE = {
  mark: '(',
  stop: '.',
  float: 'F',
  int: 'I',
  binInt: 'J',
  binInt1: 'K',
  long: 'L',
  binInt2: 'M',
  none: 'N',
  string: 'S',
  binString: 'T',
  shortBinString: 'U',
  unicode: 'V',
  binUnicode: 'X',
  append: 'a',
  dict: 'd',
  emptyDict: '}',
  appends: 'e',
  get: 'g',
  binGet: 'h',
  longBinGet: 'j',
  list: 'l',
  emptyList: ']',
  put: 'p',
  binPut: 'q',
  longBinPut: 'r',
  setItem: 's',
  tuple: 't',
  emptyTuple: ')',
  setItems: 'u',
  binFloat: 'G',
  proto: '\x80',
  tuple1: '\x85',
  tuple2: '\x86',
  tuple3: '\x87',
  newTrue: '\x88',
  newFalse: '\x89',
  long1: '\x8a',
  long4: '\x8b',
} as const

const ALLOWED: ReadonlySet<string> = new Set(Object.values(OPCODE))

/** Bytes of a long that a JavaScript number holds exactly, with room to spare. */
const MAX_LONG_SIZE = 6

/**
 * Feeds the parser the opcodes of plain data and nothing else: none that names, calls or builds a class, so a
 * pickle can't make the parser run or create anything. It also decodes what the parser takes as it stands:
 * the escapes of protocol 0 strings, and the bytes of a Python 2 `str`, which are UTF-8 here.
 */
export class PickleReader extends BufferReader {
  readonly #name: string
  #opcode = ''
  #atOpcode = false

  constructor(bytes: Buffer, name: string) {
    super(bytes)
    this.#name = name
  }

  /** The parser asks this once before each opcode. */
  override hasNext(): boolean {
    this.#atOpcode = true
    return super.hasNext()
  }

  override byte(): number {
    const value = super.byte()
    if (!this.#atOpcode) return value
    this.#atOpcode = false
    const previous = this.#opcode
    this.#opcode = String.fromCharCode(value)
    if (!ALLOWED.has(this.#opcode)) {
      throw this.#invalid(
        `opcode 0x${value.toString(16)} at byte ${this.position - 1} is not one of plain data`,
      )
    }
    // The parser would set the items as properties of the dictionary, `__proto__` among them. Python 2 writes none.
    if (this.#opcode === OPCODE.dict && previous !== OPCODE.mark)
      throw this.#invalid('it makes a dictionary from a list of items')
    return value
  }

  override bytes(length: number): Uint8Array {
    const data = super.bytes(length) as Uint8Array
    if (this.#opcode === OPCODE.long1 || this.#opcode === OPCODE.long4) {
      const negative = length > 0 && data[length - 1]! > 0x7f
      if (length > MAX_LONG_SIZE || negative) throw this.#invalid('a number is too large or a negative long')
    }
    return data
  }

  override string(size: number): string {
    const raw = Buffer.from(super.bytes(size) as Uint8Array).toString('latin1')
    const text = this.#decode(raw)
    if (text === undefined)
      throw this.#invalid(`what ends at byte ${this.position} is malformed or not UTF-8`)
    return text
  }

  #decode(raw: string): string | undefined {
    switch (this.#opcode) {
      case OPCODE.string: {
        const quote = raw.charAt(0)
        const bytes = raw.length > 1 && raw.endsWith(quote) ? unescapeBytes(raw.slice(1, -1)) : undefined
        const text = bytes === undefined ? undefined : decodeUtf8(bytes)
        return text === undefined ? undefined : `${quote}${text}${quote}`
      }
      case OPCODE.unicode:
        return unescapeRawUnicode(raw)
      case OPCODE.int:
      case OPCODE.long:
      case OPCODE.put:
      case OPCODE.get:
        return /^-?\d{1,15}L?$/.test(raw) ? raw : undefined
      case OPCODE.float:
        return Number.isFinite(Number(raw)) ? raw : undefined
      default:
        return decodeUtf8(raw)
    }
  }

  #invalid(what: string): DiskferryError {
    return new DiskferryError('PICKLE_INVALID', `${this.#name} can't be read as a pickle: ${what}`)
  }
}
