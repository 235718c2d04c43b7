export const CONFIDENCE = 0.95

/**
 * How many blocks may differ although none of those that were read does: if there were more, at least one of them
 * would have been read with a probability of 95 % or more.
 *
 * One block of every `stratum` in a row was read, each of them as likely as the others. With k of them different in one
 * row it is missed with 1 - k/stratum, which is at most (1 - 1/stratum)^k (Bernoulli's inequality); over all rows, with
 * K different in all, at most (1 - 1/stratum)^K, and, by the inequality of the means, at most (1 - K/(stratum rows))^rows.
 * Both bounds hold wherever the different blocks lie; the smaller one is taken.
 *
 * @param stratum blocks in a row; 1 when all were read
 * @param rows how many blocks were read, one of each row
 * @param blocks how many there are in all
 */
export function unnoticedBlocks(stratum: number, rows: number, blocks: number): number {
  if (stratum === 1 || blocks === 0) return 0
  const miss = Math.log(1 - CONFIDENCE)
  const bySpread = miss / Math.log1p(-1 / stratum)
  const byRows = stratum * rows * -Math.expm1(miss / rows)
  return Math.min(blocks - rows, Math.floor(Math.min(bySpread, byRows)))
}
