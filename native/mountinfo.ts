import { type FileHandle, open } from 'node:fs/promises'
import type { Mount } from 'diskferry/core'

/** The kernel hands out a page at a time. */
const PIECE_BYTES = 4096

let file: Promise<FileHandle> | undefined
let last: Promise<unknown> = Promise.resolve()
let waiting: Promise<readonly Mount[]> | undefined
let known: { readonly text: string; readonly mounts: readonly Mount[] } = { text: '', mounts: [] }

/**
 * Every mount this process sees, in the kernel's order; proc_pid_mountinfo(5). Asked for several times in each request,
 * so the file stays open, and who asks while it is being read shares the next reading: that begins after all of them
 * asked. One at a time, because two that read the one open file would get pieces of different tables.
 *
 * @throws the system's error
 */
export function readMounts(): Promise<readonly Mount[]> {
  if (waiting !== undefined) return waiting
  const reading = last.then(() => {
    waiting = undefined
    return readTable()
  })
  waiting = reading
  last = reading.catch(() => undefined)
  return reading
}

async function readTable(): Promise<readonly Mount[]> {
  file ??= open('/proc/self/mountinfo').catch((error: unknown) => {
    file = undefined
    throw error
  })
  const handle = await file
  const pieces: Buffer[] = []
  for (let position = 0; ; ) {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(PIECE_BYTES), 0, PIECE_BYTES, position)
    if (bytesRead === 0) break
    pieces.push(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
  const text = Buffer.concat(pieces).toString()
  if (text !== known.text) known = { text, mounts: parseMountinfo(text) }
  return known.mounts
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
