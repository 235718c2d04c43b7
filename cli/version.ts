import { createRequire } from 'node:module'

/** Of package.json, found by the package's own name: the same from the sources and from `dist`. */
export const { version: VERSION } = createRequire(import.meta.url)('diskferry/package.json') as {
  readonly version: string
}
