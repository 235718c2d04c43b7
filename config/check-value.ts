import { resolve } from 'node:path'
import { parseGoDuration } from './go-duration.ts'
import type { KeySpec } from './key-spec.ts'
import { quote } from './quote.ts'
import { isTomlTable, tomlType } from './toml-type.ts'

/** A good value as the program wants it, or what is wrong with it and what to do. */
export type Verdict = { readonly value: unknown } | { readonly problem: string }

/** Checks the value that a document has for one key. An empty string never comes here: it counts as absent. */
export function checkValue(spec: KeySpec, value: unknown): Verdict {
  switch (spec.type) {
    case 'string':
    case 'path':
      return typeof value === 'string' ? checkText(spec, value) : wrongType(value, 'a string in quotes')
    case 'integer':
      return Number.isInteger(value)
        ? verdict(spec.check?.(value as number), value)
        : wrongType(value, 'an integer without quotes')
    case 'strings':
      return Array.isArray(value) && value.every((item) => typeof item === 'string')
        ? verdict(spec.check?.(value), value)
        : wrongType(value, 'strings in brackets, as ["one", "two"]')
    case 'boolean':
      return typeof value === 'boolean' ? { value } : wrongType(value, 'true or false without quotes')
    case 'duration':
      return typeof value === 'string'
        ? checkDuration(spec, value)
        : wrongType(value, 'a duration such as "1h30m"')
    case 'table':
      return isTomlTable(value) ? { value } : wrongType(value, 'a table')
  }
}

function checkText(spec: KeySpec & { readonly type: 'string' | 'path' }, text: string): Verdict {
  if (spec.choices !== undefined && !spec.choices.includes(text)) {
    return { problem: `${quote(text)} is not known; use ${spec.choices.map(quote).join(' or ')}` }
  }
  return verdict(spec.check?.(text), spec.type === 'path' ? resolve(text) : text)
}

function checkDuration(spec: KeySpec & { readonly type: 'duration' }, text: string): Verdict {
  const milliseconds = parseGoDuration(text)
  if (milliseconds !== undefined) return verdict(spec.check?.(milliseconds), milliseconds)
  return { problem: `${quote(text)} is not a duration; write it as "168h", "1h30m" or "90s", not negative` }
}

function verdict(problem: string | undefined, value: unknown): Verdict {
  return problem === undefined ? { value } : { problem }
}

function wrongType(value: unknown, wanted: string): Verdict {
  return { problem: `is ${tomlType(value)}; write ${wanted}` }
}
