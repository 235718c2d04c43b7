import { command } from '../../support/command.ts'

/** Debian's own Python: the one that has python3-bsddb3, whatever else is installed. */
const PYTHON = '/usr/bin/python3'

/** Runs a script with `request` as a JSON value in `request`; gives what it prints. */
export async function python(script: string, request: unknown): Promise<string> {
  const prologue = 'import sys, json\nrequest = json.load(sys.stdin)\n'
  return command(PYTHON, ['-c', prologue + script], { input: JSON.stringify(request) })
}
