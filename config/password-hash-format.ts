/** The parts of a password hash line, with the costs of scrypt as RFC 7914 names them. */
export interface PasswordHash {
  /** log2 of N, the CPU and memory cost. */
  readonly logN: number
  readonly blockSize: number
  readonly parallelism: number
  readonly salt: Buffer
  readonly hash: Buffer
}

/** Below these a hash is guessed too cheaply: they are the least in OWASP's table of scrypt costs. */
const MIN_LOG_N = 13
const MIN_BLOCK_SIZE = 8
const MAX_LOG_N = 20
const MAX_BLOCK_SIZE = 32
const MAX_PARALLELISM = 16

/** 128 * N * r bytes is what one check allocates (RFC 7914, section 5). */
const MAX_MEMORY_BYTES = 256 * 1024 * 1024

/** Bytes of salt and of hash. */
const MIN_BYTES = 16
const MAX_BYTES = 64

const FORMAT =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{1,100})\$([A-Za-z0-9+/]{1,100})$/

/**
 * Reads `$scrypt$ln=15,r=8,p=3$<salt>$<hash>`, both in base64 without padding. Undefined for anything else, and
 * for costs out of bounds: a configuration must not be able to demand more than 256 MiB for one check.
 */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const match = FORMAT.exec(text)
  if (match === null) return undefined
  const [, ln = '', r = '', p = '', salt = '', hash = ''] = match
  const parsed: PasswordHash = {
    logN: Number(ln),
    blockSize: Number(r),
    parallelism: Number(p),
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  }
  return withinBounds(parsed) && formatPasswordHash(parsed) === text ? parsed : undefined
}

/** The line that `parsePasswordHash` reads. */
export function formatPasswordHash(parts: PasswordHash): string {
  const { logN, blockSize, parallelism, salt, hash } = parts
  return `$scrypt$ln=${logN},r=${blockSize},p=${parallelism}$${unpadded(salt)}$${unpadded(hash)}`
}

function withinBounds({ logN, blockSize, parallelism, salt, hash }: PasswordHash): boolean {
  return (
    between(logN, MIN_LOG_N, MAX_LOG_N) &&
    between(blockSize, MIN_BLOCK_SIZE, MAX_BLOCK_SIZE) &&
    between(parallelism, 1, MAX_PARALLELISM) &&
    128 * 2 ** logN * blockSize <= MAX_MEMORY_BYTES &&
    between(salt.length, MIN_BYTES, MAX_BYTES) &&
    between(hash.length, MIN_BYTES, MAX_BYTES)
  )
}

function between(value: number, least: number, most: number): boolean {
  return value >= least && value <= most
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
