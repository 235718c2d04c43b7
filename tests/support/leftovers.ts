import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { commandSync } from './command.ts'
import { loopDevicesBelow, mountsBelow } from './mounts.ts'

const GRACE_CHECKS = 20
const GRACE_PAUSE_MS = 100

/** The environment variable that marks every process of a test run, whoever started it. */
export const RUN_DIRECTORY_VARIABLE = 'DISKFERRY_TEST_TMP'

/**
 * Ends and unmounts what a test run left behind, and names each.
 * @param directory the run's own folder, in `DISKFERRY_TEST_TMP` of every process of the run
 */
export async function removeLeftovers(directory: string): Promise<readonly string[]> {
  const processes = await lastingProcesses(directory)
  for (const { pid } of processes) process.kill(pid, 'SIGKILL')
  const mounts = [...mountsBelow(directory)].reverse()
  for (const { mountPoint } of mounts) commandSync('umount', ['--lazy', mountPoint])
  const devices = loopDevicesBelow(directory)
  // One that was mounted may detach itself between the two calls; what stays is found by whoever looks next.
  for (const device of devices) spawnSync('losetup', ['--detach', device])
  return [
    ...processes.map(({ pid, commandLine }) => `process ${pid}: ${commandLine}`),
    ...mounts.map(({ mountPoint }) => `mount ${mountPoint}`),
    ...devices.map((device) => `loop device ${device}`),
  ]
}

interface RunProcess {
  readonly pid: number
  readonly commandLine: string
}

/** Helpers of a process that has just ended (esbuild's is one) notice it a moment later, so look more than once. */
async function lastingProcesses(directory: string): Promise<readonly RunProcess[]> {
  let found = processesOf(directory)
  for (let check = 1; check < GRACE_CHECKS && found.length > 0; check += 1) {
    await delay(GRACE_PAUSE_MS)
    found = processesOf(directory)
  }
  return found
}

function processesOf(directory: string): readonly RunProcess[] {
  const mark = `${RUN_DIRECTORY_VARIABLE}=${directory}`
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => readProc(pid, 'environ').split('\0').includes(mark))
    .map((pid) => ({ pid: Number(pid), commandLine: readProc(pid, 'cmdline').replaceAll('\0', ' ').trim() }))
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    // Ended meanwhile, or another user's and so not ours.
    return ''
  }
}
