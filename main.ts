import { createProgram } from './cli/program.ts'
import { DiskferryError } from './core/errors.ts'

try {
  await createProgram().parseAsync()
} catch (error) {
  const foreseen = error instanceof DiskferryError
  const code = foreseen && error.code !== 'USAGE' ? `${error.code}: ` : ''
  const what = foreseen ? error.message : error instanceof Error ? error.stack : error
  process.stderr.write(`diskferry: ${code}${what}\n`)
  // Not by letting it run out: a thread may be in a call to a server that is gone.
  const { endProcess } = await import('./native/end-process.ts')
  endProcess(foreseen && error.code === 'USAGE' ? 2 : 1)
}
