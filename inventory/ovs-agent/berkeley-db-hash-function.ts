/** CHARKEY in hash.h, hashed with its terminating NUL: the metadata tells by it which hash function was used. */
const CHARKEY = Buffer.from('%$sniglet^&\0', 'latin1')

/** `__ham_func5` in hash_func.c: Fowler/Noll/Vo, the default of every hash version since 5. */
export function berkeleyDbHash(key: Uint8Array): number {
  let hash = 0
  for (const byte of key) hash = Math.imul(hash, 16777619) ^ byte
  return hash >>> 0
}

/** What `h_charkey` of HMETA holds when the hash function is the default one. */
export const DEFAULT_CHARKEY_HASH = berkeleyDbHash(CHARKEY)

/** `__db_log2`: the smallest power whose 2^power is at least `value`. */
function log2Ceiling(value: number): number {
  return value <= 1 ? 0 : 32 - Math.clz32(value - 1)
}

/**
 * The first page of a bucket: BS_TO_PAGE in hash.h.
 * @param spares of HMETA: for each doubling of the table its first page, less the buckets before it
 */
export function bucketToPage(bucket: number, spares: readonly number[]): number {
  return bucket + (spares[log2Ceiling(bucket + 1)] ?? 0)
}

/** HMETA's `high_mask` and `low_mask` follow from the highest bucket in use (`__ham_vrfy_meta`). */
export function bucketMasks(maxBucket: number): { readonly high: number; readonly low: number } {
  const size = 2 ** log2Ceiling(maxBucket + 1)
  return { high: size - 1, low: Math.max(Math.floor(size / 2) - 1, 0) }
}

/** `__ham_call_hash`: the bucket that a key belongs to. */
export function bucketOf(key: Uint8Array, maxBucket: number): number {
  const { high, low } = bucketMasks(maxBucket)
  const hash = berkeleyDbHash(key)
  const bucket = (hash & high) >>> 0
  return bucket > maxBucket ? (hash & low) >>> 0 : bucket
}

/**
 * `__db_chksum` without a key, hmac.c: `__ham_func4` over the bytes, the four of the checksum taken as zeros.
 * @param checksumOffset where the checksum lies in `bytes`
 */
export function checksumOf(bytes: Uint8Array, checksumOffset: number): number {
  let hash = 0
  for (let offset = 0; offset < bytes.length; offset += 1) {
    const counted = offset < checksumOffset || offset >= checksumOffset + 4
    hash = (Math.imul(hash, 33) + (counted ? bytes[offset]! : 0)) | 0
  }
  return hash >>> 0
}
