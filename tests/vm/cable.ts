import { closeSync } from 'node:fs'
import koffi from 'koffi'

const libc = koffi.load('libc.so.6')
const socketpair = libc.func('int socketpair(int domain, int type, int protocol, _Out_ int *pair)')
/** linux/socket.h, linux/net.h */
const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000

/** A network cable between two test machines: no device, port or name of this machine is behind it. */
export class Cable implements Disposable {
  /** Descriptors. What is written to one, a packet each time, can be read from the other. */
  readonly ends: readonly [number, number]

  /** @throws when this process may open no more files */
  constructor() {
    const pair: [number, number] = [-1, -1]
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) !== 0)
      throw new Error(`socketpair() failed with errno ${koffi.errno()}`)
    this.ends = pair
  }

  /** A machine that still has an end talks to nobody from then on. */
  [Symbol.dispose](): void {
    for (const end of this.ends) closeSync(end)
  }
}
