#!/usr/bin/env node
import { createProgram } from './cli/program.ts'
import { DiskferryError } from './core/errors.ts'

try {
  await createProgram().parseAsync()
} catch (error) {
  const foreseen = error instanceof DiskferryError
  process.stderr.write(
    `diskferry: ${foreseen ? error.message : error instanceof Error ? error.stack : error}\n`,
  )
  process.exitCode = foreseen && error.code === 'USAGE' ? 2 : 1
}
