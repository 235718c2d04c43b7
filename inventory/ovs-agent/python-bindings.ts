import type { PythonToken } from './python-tokens.ts'

/** After these a name may be given or lose its value. */
const BINDING_KEYWORDS: ReadonlySet<string> = new Set([
  'as',
  'class',
  'def',
  'del',
  'except',
  'for',
  'from',
  'global',
  'import',
  'with',
])

/** After the colon of these a statement may follow on the same line. */
const BLOCK_KEYWORDS: ReadonlySet<string> = new Set(['elif', 'else', 'finally', 'if', 'try', 'while'])

/** With these any name may get a value. */
const OPAQUE_NAMES: ReadonlySet<string> = new Set(['exec', 'execfile', 'globals', 'locals', 'vars'])

const ASSIGNMENT = /^([-+*/%&|^]|\*\*|\/\/|<<|>>)?=$/

/**
 * Whether a statement of Python 2 may change the value of one of the names. In doubt it does: the statement is
 * not run, and a value that is wrong in silence is worse than an error.
 */
export function bindsAnyOf(names: ReadonlySet<string>, tokens: readonly PythonToken[]): boolean {
  const first = tokens[0]
  const starImport = first?.text === 'from' && tokens.at(-1)?.text === '*'
  if (starImport || tokens.some((token) => token.kind === 'name' && OPAQUE_NAMES.has(token.text))) return true
  if (tokens.some((token) => token.kind === 'broken' && mentions(names, token.text))) return true

  const brackets = innermostBrackets(tokens)
  let start = 0
  if (first !== undefined && BLOCK_KEYWORDS.has(first.text)) {
    start = 1 + tokens.findIndex((token, index) => token.text === ':' && brackets[index] === '')
    if (start === 0) return false
  }
  const targetsEnd = tokens.findLastIndex((token, index) => isAssignment(token) && brackets[index] === '')
  let bindingKeyword = false
  let onlyBrackets = true
  for (let index = start; index < tokens.length; index += 1) {
    const token = tokens[index]!
    bindingKeyword ||= token.kind === 'name' && BINDING_KEYWORDS.has(token.text)
    if (token.kind === 'name' && names.has(token.text) && tokens[index - 1]?.text !== '.') {
      // `disk.append(...)`, `(disk, vif) = ...`
      if (bindingKeyword || onlyBrackets || index < targetsEnd) return true
      // A bracket that is closed too late swallows the next assignment; `f(disk=...)` is a keyword argument.
      const keywordArgument = brackets[index] === '(' && token.column > 0
      if (isAssignment(tokens[index + 1]) && !keywordArgument) return true
    }
    onlyBrackets &&= token.kind === 'operator' && /[([]/.test(token.text)
  }
  return false
}

function isAssignment(token: PythonToken | undefined): boolean {
  return token?.kind === 'operator' && ASSIGNMENT.test(token.text)
}

function mentions(names: ReadonlySet<string>, text: string): boolean {
  return text.split(/\W+/).some((word) => names.has(word))
}

/** For each token the bracket it stands in, or ''. */
function innermostBrackets(tokens: readonly PythonToken[]): readonly string[] {
  const open: string[] = []
  return tokens.map((token) => {
    if (token.kind === 'operator' && /[([{]/.test(token.text)) open.push(token.text)
    else if (token.kind === 'operator' && /[)\]}]/.test(token.text)) open.pop()
    return open.at(-1) ?? ''
  })
}
