import type { DemoRepository } from './demo-repository.ts'
import type { DemoServer } from './demo-server.ts'

/** How to talk to the server that `--keep` leaves up, ready to be pasted into a shell. */
export function printKeepLines(
  out: { write(text: string): unknown },
  { baseUrl, certificateFile, logFile, username, password }: DemoServer,
  { vmId }: DemoRepository,
): void {
  const curl = `curl --silent --cacert ${certificateFile}`
  const bearer = `-H "Authorization: Bearer $TOKEN"`
  out.write(`
The server is up until Ctrl-C.
  URL       ${baseUrl}
  user      ${username}
  password  ${password}
  log       ${logFile}

TOKEN=$(${curl} ${baseUrl}/api/v1/auth/login -d '{"username": "${username}", "password": "${password}"}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')
${curl} ${bearer} ${baseUrl}/api/v1/vms
${curl} ${bearer} -X POST ${baseUrl}/api/v1/vms/${vmId}/snapshots
${curl} ${bearer} ${baseUrl}/api/v1/vms/${vmId}/snapshots
${curl} ${bearer} ${baseUrl}/api/v1/repositories
`)
}
