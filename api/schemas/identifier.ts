/** The longest identifier or disk name, in characters: what a file name may have on Linux, in bytes. */
const MAX_LENGTH = 255

/** Any text that could be the name of something; what is unknown is not found, what is malformed is refused. */
export function identifier(description: string) {
  return { type: 'string', minLength: 1, maxLength: MAX_LENGTH, pattern: '^\\P{Cc}+$', description }
}

/** The same, or empty for none. */
export function optionalIdentifier(description: string) {
  return { type: 'string', maxLength: MAX_LENGTH, pattern: '^\\P{Cc}*$', description }
}
