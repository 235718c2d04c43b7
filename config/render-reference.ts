import { DiskferryError } from '../core/errors.ts'
import type { KeySpec } from './key-spec.ts'
import { SCHEMA } from './schema.ts'

const BEGIN = '<!-- keys: made by config/update-generated.ts from config/schema.ts -->'
const END = '<!-- end of keys -->'

/** The manual with its list of keys made anew from the schema; everything outside the two marks stays. */
export function renderReference(manual: string): string {
  const begin = manual.indexOf(BEGIN)
  const end = manual.indexOf(END)
  if (begin < 0 || end < begin)
    throw new DiskferryError('INTERNAL', `the manual lacks the marks ${BEGIN} and ${END}`)
  const keys = (SCHEMA as readonly KeySpec[]).map(renderKey).join('\n')
  return `${manual.slice(0, begin)}${BEGIN}\n\n${keys}\n${manual.slice(end)}`
}

function renderKey(spec: KeySpec): string {
  return `### \`${spec.path}\`\n\n${nature(spec)}\n\n${spec.doc} ${spec.reason}\n`
}

function nature(spec: KeySpec): string {
  const kind =
    'choices' in spec && spec.choices ? spec.choices.map((word) => `\`"${word}"\``).join(' or ') : spec.type
  if (spec.required) return `${kind}, required${spec.path.includes('[]') ? ' in each entry' : ''}`
  if (!('default' in spec) || spec.default === undefined) return `${kind}, optional`
  return `${kind}, default \`${JSON.stringify(spec.default)}\``
}
