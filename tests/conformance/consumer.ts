/** A consumer's whole test file; what it tests comes from the environment, so that a test can run it. */

import { conformance } from 'diskferry/conformance'
import type { BackendFactory } from 'diskferry/core'

const { BACKEND = '', DIRECTORY = '' } = process.env
const module: { readonly default: BackendFactory } = await import(BACKEND)

await conformance({
  backend: module.default,
  directory: DIRECTORY,
  only: /^manifest and mount$|^a clone holds/,
})
