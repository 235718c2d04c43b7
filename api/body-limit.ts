/** The largest request body that is read, in bytes. No route needs more than a user name and a password. */
export const BODY_LIMIT_BYTES = 64 * 1024
