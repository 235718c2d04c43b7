/** A directory of this machine, offered on its loopback. Disposing of it takes the offer back. */
export interface Server extends AsyncDisposable {
  /** What to mount: `127.0.0.1:/ubda`, `//127.0.0.1/share`. */
  readonly source: string
  /** Options that the mount needs. */
  readonly mountOptions: readonly string[]
  /** Stops answering: whoever asks waits. */
  pause(): Promise<void>
  resume(): Promise<void>
}
