import { readFile } from 'node:fs/promises'
import type { Mount } from 'diskferry/core'

/** Every mount this process sees, in the kernel's order; proc_pid_mountinfo(5). */
export async function readMounts(): Promise<readonly Mount[]> {
  return parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'))
}

/**
 * `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`: the optional fields end
 * at a lone dash. Lines of another shape are left out: the kernel writes none.
 */
export function parseMountinfo(text: string): readonly Mount[] {
  const mounts: Mount[] = []
  for (const line of text.split('\n')) {
    const fields = line.split(' ')
    const dash = fields.indexOf('-', 6)
    const [mountId, parentId, device, root, mountPoint, mountOptions] = fields
    const [filesystem, source, superOptions = ''] = dash === -1 ? [] : fields.slice(dash + 1)
    if (mountOptions === undefined || filesystem === undefined || source === undefined) continue
    const options = [...new Set([...mountOptions.split(','), ...superOptions.split(',')])].filter(Boolean)
    mounts.push({
      mountId: Number(mountId),
      parentId: Number(parentId),
      device: device!,
      root: unescapeOctal(root!),
      mountPoint: unescapeOctal(mountPoint!),
      filesystem,
      source: unescapeOctal(source),
      readOnly: mountOptions.split(',').includes('ro') || superOptions.split(',').includes('ro'),
      options: options.map(unescapeOctal),
    })
  }
  return mounts
}

/** Space, tab, newline and backslash stand as `\040`, `\011`, `\012`, `\134`; all else stands as it is. */
function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
