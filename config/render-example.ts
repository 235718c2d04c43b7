import type { KeySpec } from './key-spec.ts'
import { SCHEMA } from './schema.ts'
import { wrap } from './wrap.ts'

const WIDTH = 100

const INTRODUCTION = `# Configuration of Diskferry, TOML. docs/configuration.md says more about each key.
#
# A key that starts with # is optional; what stands behind it is its default, or a sample where there is
# none. To set it, remove the #. A heading in double brackets starts a list entry: remove its # as well.
#
# This file holds a secret: chmod 600.
`

/** The commented example: every key of the schema, with its default or a sample. */
export function renderExample(): string {
  const sections = [INTRODUCTION]
  let heading = ''
  for (const spec of SCHEMA as readonly KeySpec[]) {
    const own = headingOf(spec)
    if (own !== heading) sections.push(`${own}\n`)
    heading = own
    sections.push(renderKey(spec))
  }
  return sections.join('\n')
}

/**
 * A plain heading is never commented out: a key uncommented below it would land in the table above. An entry of
 * a list is, since an empty one would lack what it needs.
 */
function headingOf(spec: KeySpec): string {
  const names = spec.path.split('.')
  const table = spec.type === 'table' ? names : names.slice(0, -1)
  const heading = table.join('.').replaceAll('[]', '')
  if (heading === '') return ''
  if (!spec.path.includes('[]')) return `[${heading}]`
  return spec.type === 'table' ? `#[${heading}]` : `#[[${heading}]]`
}

function renderKey(spec: KeySpec): string {
  const comment = [spec.doc, spec.reason, nature(spec)].flatMap((text) => wrap(text, WIDTH - 2))
  const lines = comment.map((line) => `# ${line}`)
  if (spec.type === 'table') return `${lines.join('\n')}\n`
  const name = spec.path.split('.').at(-1)
  const isCommented = spec.required === undefined || spec.path.includes('[]')
  return `${lines.join('\n')}\n${isCommented ? '#' : ''}${name} = ${renderValue(spec)}\n`
}

function nature(spec: KeySpec): string {
  if ('choices' in spec && spec.choices)
    return `One of ${spec.choices.map((word) => `"${word}"`).join(', ')}.`
  if (!spec.required) return `Optional, ${spec.type}.`
  return `Required${spec.path.includes('[]') ? ' in each entry' : ''}, ${spec.type}.`
}

/** JSON's strings are TOML's, as long as no character above the basic plane is escaped. */
function renderValue(spec: KeySpec): string {
  const value = 'default' in spec && spec.default !== undefined ? spec.default : spec.sample
  return JSON.stringify(value)
}
