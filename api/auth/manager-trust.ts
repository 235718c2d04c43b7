/** Remembers which certificate each manager showed first. */
export interface PinStore {
  /** @param host `name:port` */
  get(host: string): Promise<string | undefined>
  /** @param fingerprint SHA-256 of the certificate, as openssl prints it: `AB:CD:...` */
  set(host: string, fingerprint: string): Promise<void>
}

/** How the manager's certificate is checked before credentials are sent. */
export type ManagerTrust =
  | {
      /** Trust on first use: the certificate of the first good login, then no other. */
      readonly mode: 'pin'
      readonly pins: PinStore
      /** What the administrator does to accept a changed certificate, as a clause: `run ...`. */
      readonly howToAccept: string
    }
  | {
      readonly mode: 'ca'
      /** Path of a PEM file; read at each login, so that it can be replaced. */
      readonly caCertificate: string
    }
  | { readonly mode: 'off' }
