const BLOCK = 4096
const PATTERN_BYTES = 1024 * 1024
/** Steps through the pattern from one generation to the next; prime, so that few generations meet. */
const STRIDE = 7919

const pattern = makePattern()

/**
 * The bytes that a disk holds from `start` on when it was written in this generation: they follow from the place and
 * the generation alone, can't be compressed, differ between any two blocks, and none of them is zero.
 */
export function content(start: number, length: number, generation: number): Buffer<ArrayBuffer> {
  const first = Math.floor(start / BLOCK)
  const last = Math.ceil((start + length) / BLOCK)
  const blocks = Buffer.allocUnsafe((last - first) * BLOCK)
  for (let block = first; block < last; block++) {
    const at = (block - first) * BLOCK
    const from = (block * BLOCK + generation * STRIDE) % (PATTERN_BYTES - BLOCK)
    pattern.copy(blocks, at, from, from + BLOCK)
    stamp(blocks, at, block)
    stamp(blocks, at + 8, generation)
  }
  return blocks.subarray(start - first * BLOCK, start - first * BLOCK + length)
}

/** Bytes that a compressing filesystem stores compressed. */
export function compressible(length: number, generation: number): Buffer<ArrayBuffer> {
  return Buffer.alloc(length, `generation ${generation} `)
}

/** Mixes a number into eight bytes of the pattern, none of which becomes zero. */
function stamp(buffer: Buffer, offset: number, value: number): void {
  let rest = value
  for (let index = 0; index < 8; index++) {
    buffer[offset + index] = 1 + ((buffer[offset + index]! + rest) % 255)
    rest = Math.floor(rest / 255)
  }
}

function makePattern(): Buffer {
  const bytes = Buffer.alloc(PATTERN_BYTES)
  let state = 0x2545f491
  for (let index = 0; index < bytes.length; index++) {
    // xorshift32: https://www.jstatsoft.org/article/view/v008i14
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[index] = 1 + ((state >>> 8) % 255)
  }
  return bytes
}
