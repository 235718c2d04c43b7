/** Bytes of UTF-8; far above any real one, and it bounds what a login can make the program do. */
export const MAX_CREDENTIAL_BYTES = 1024

/**
 * Why a user name or password can't be anybody's, in words for the client; undefined when it might be. Control
 * characters are refused as RFC 7617, section 2, does. An empty password is refused since some directories take
 * it for an anonymous login, which succeeds (RFC 4513, section 5.1.2).
 */
export function credentialProblem(username: string, password: string): string | undefined {
  if (username === '' || password === '') return 'a user name and a password are needed'
  for (const [name, value] of [['user name', username] as const, ['password', password] as const]) {
    if (Buffer.byteLength(value) > MAX_CREDENTIAL_BYTES) {
      return `the ${name} has more than ${MAX_CREDENTIAL_BYTES} bytes`
    }
    if (/[\p{Cc}\p{Cs}]/u.test(value)) return `the ${name} holds a control character`
  }
  return undefined
}
