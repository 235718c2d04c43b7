import { readFileSync } from 'node:fs'

/** Both clocks of the host at one moment. */
export interface ClockReading {
  /** The time of day, milliseconds since 1970; it can be set, forward and back. */
  readonly wallMs: number
  /** Which boot `bootMs` belongs to. */
  readonly bootId: string
  /** Milliseconds on a clock that only goes forward, the same for all processes of one boot. */
  readonly bootMs: number
}

export type Clock = () => ClockReading

let bootId: string | undefined

/** CLOCK_MONOTONIC, which node's hrtime is on Linux, and random(4)'s boot_id. */
export const systemClock: Clock = () => {
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  return { wallMs: Date.now(), bootId, bootMs: Number(process.hrtime.bigint()) / 1e6 }
}
