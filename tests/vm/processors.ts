import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'

/** The processors that this process may use, as `0-2,5`: cpuset(7), the list format. */
export async function allowedProcessors(): Promise<string> {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(await readFile('/proc/self/status', 'utf8'))![1]!
}

/**
 * One of a list of processors.
 * @param number of the machine: the first machine gets the first processor; any when left out
 */
export function processorOf(list: string, number?: number): number {
  const processors = list.split(',').flatMap((part) => {
    const [first, last = first] = part.split('-').map(Number) as [number, number?]
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
  return processors[(number ?? randomInt(processors.length)) % processors.length]!
}
