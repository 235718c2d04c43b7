import type { Random } from '../support/random.ts'

/** Of a mutated input; parsers have limits of their own, far above. */
const MAX_BYTES = 256 * 1024

const NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff]
const WORDS = [
  '',
  '0',
  '-1',
  '9007199254740993',
  '1e999',
  '99999999999999999999999999',
  '\0',
  '\r\n',
  '\ufeff',
  '\u2028',
  '../../../../etc/passwd',
  '%2e%2e%2f',
  '%00',
  '%zz',
  '__proto__',
  'constructor',
  'null',
  '[[[[[[[[[[[[[[[[',
  '{{{{{{{{{{{{{{{{',
  '((((((((((((((((',
  '"""',
  "'''",
  '\\',
].map((word) => Buffer.from(word))

type Mutation = (bytes: Buffer, random: Random, other: Buffer, words: readonly Buffer[]) => Buffer

const MUTATIONS: readonly Mutation[] = [
  function flipBit(bytes, random) {
    if (bytes.length === 0) return bytes
    const at = random.between(0, bytes.length - 1)
    bytes[at] = bytes[at]! ^ (1 << random.between(0, 7))
    return bytes
  },
  function setByte(bytes, random) {
    if (bytes.length > 0) bytes[random.between(0, bytes.length - 1)] = random.between(0, 255)
    return bytes
  },
  function setNumber(bytes, random) {
    const width = random.pick([1, 2, 4] as const)
    if (bytes.length < width) return bytes
    const at = random.between(0, bytes.length - width)
    const value = random.pick(NUMBERS) % 2 ** (8 * width)
    if (random.chance(0.5)) bytes.writeUIntLE(value, at, width)
    else bytes.writeUIntBE(value, at, width)
    return bytes
  },
  function remove(bytes, random) {
    const [start, end] = span(bytes, random)
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)])
  },
  function repeat(bytes, random) {
    const [start, end] = span(bytes, random)
    const times = random.magnitude(1, 64)
    const piece = bytes.subarray(start, end)
    return Buffer.concat([bytes.subarray(0, end), ...Array<Buffer>(times).fill(piece), bytes.subarray(end)])
  },
  function insertWord(bytes, random, _other, words) {
    const at = random.between(0, bytes.length)
    return Buffer.concat([bytes.subarray(0, at), random.pick([...WORDS, ...words]), bytes.subarray(at)])
  },
  function insertNoise(bytes, random) {
    const at = random.between(0, bytes.length)
    return Buffer.concat([bytes.subarray(0, at), random.bytes(random.magnitude(1, 64)), bytes.subarray(at)])
  },
  function splice(bytes, random, other) {
    const [start, end] = span(other, random)
    const at = random.between(0, bytes.length)
    return Buffer.concat([bytes.subarray(0, at), other.subarray(start, end), bytes.subarray(at)])
  },
  function cut(bytes, random) {
    return bytes.subarray(0, random.between(0, bytes.length))
  },
]

/**
 * A valid input with one to eight faults: most of it is still what a parser knows, so that the faults get deep into it.
 * The same generator gives the same inputs.
 */
export function mutate(corpus: readonly Buffer[], random: Random, words: readonly Buffer[] = []): Buffer {
  let bytes: Buffer = Buffer.from(random.pick(corpus))
  for (let faults = random.magnitude(1, 8); faults > 0; faults -= 1) {
    bytes = Buffer.from(random.pick(MUTATIONS)(bytes, random, random.pick(corpus), words))
    if (bytes.length > MAX_BYTES) bytes = bytes.subarray(0, MAX_BYTES)
  }
  return bytes
}

function span(bytes: Buffer, random: Random): readonly [start: number, end: number] {
  const start = random.between(0, bytes.length)
  return [start, Math.min(bytes.length, start + random.magnitude(1, 256))]
}
