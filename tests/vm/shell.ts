/** A word of a POSIX shell that stands for exactly this text. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** Assignments, one a line. */
export function assignments(variables: Readonly<Record<string, string>>, keyword = ''): string {
  return Object.entries(variables)
    .map(([name, value]) => `${keyword}${name}=${quote(value)}\n`)
    .join('')
}
