const MAX_SHOWN = 60

/** A value from a file as a message may show it: on one line, escaped, cut when long. */
export function quote(value: string): string {
  return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}...` : value)
}
