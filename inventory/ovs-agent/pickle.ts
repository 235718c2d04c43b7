import { Parser } from 'pickleparser'
import { DiskferryError, describe } from '../../core/errors.ts'
import { PickleReader } from './pickle-reader.ts'

/** Bytes. What the agent stores has some hundred. */
const MAX_PICKLE_SIZE = 1024 * 1024

/**
 * The plain data of a pickle of protocol 0 to 2: null, booleans, numbers, strings, arrays for lists and tuples,
 * Maps for dictionaries. Python 2 `str` values are taken as UTF-8. The result of a crafted pickle may contain
 * itself: walk it no deeper than needed.
 * @param name for errors
 * @throws PICKLE_INVALID for anything else: other types, classes, calls, more than 1 MiB, text that is not UTF-8
 */
export function unpickle(bytes: Buffer, name: string): unknown {
  if (bytes.length > MAX_PICKLE_SIZE) {
    throw invalid(name, `it has ${bytes.length} bytes, more than the ${MAX_PICKLE_SIZE} that are read`)
  }
  const refuse = { resolve: () => refuseClasses(name) }
  const parser = new Parser({
    nameResolver: refuse,
    persistentResolver: refuse,
    extensionResolver: refuse,
    unpicklingTypeOfDictionary: 'Map',
  })
  try {
    return parser.read<unknown>(new PickleReader(bytes, name))
  } catch (cause) {
    if (cause instanceof DiskferryError) throw cause
    throw invalid(name, describe(cause), cause)
  }
}

/** The entries of a pickled dictionary whose key and value are strings; others are left out. @throws PICKLE_INVALID */
export function unpickleStrings(bytes: Buffer, name: string): ReadonlyMap<string, string> {
  const value = unpickle(bytes, name)
  if (!(value instanceof Map)) throw invalid(name, 'it holds no dictionary')
  const strings = new Map<string, string>()
  for (const [key, item] of value) {
    if (typeof key === 'string' && typeof item === 'string') strings.set(key, item)
  }
  return strings
}

/** @throws PICKLE_INVALID */
export function unpickleString(bytes: Buffer, name: string): string {
  const value = unpickle(bytes, name)
  if (typeof value !== 'string') throw invalid(name, 'it holds no string')
  return value
}

function refuseClasses(name: string): never {
  throw invalid(name, 'it names a class')
}

function invalid(name: string, what: string, cause?: unknown): DiskferryError {
  return new DiskferryError('PICKLE_INVALID', `${name} can't be read as a pickle: ${what}`, { cause })
}
