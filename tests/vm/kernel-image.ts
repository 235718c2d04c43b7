import { readFile, writeFile } from 'node:fs/promises'
import { command } from '../support/command.ts'

const XZ_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])
const SECTOR = 512

/**
 * Writes the kernel of a bzImage as QEMU starts it at once, through PVH: without this, emulated code would
 * unpack it for four seconds at every boot. A kernel that is not packed by xz is copied as it is.
 * Offsets: Documentation/x86/boot.rst, setup_sects, payload_offset and payload_length.
 */
export async function writeBootableKernel(bzImage: string, target: string): Promise<void> {
  const image = await readFile(bzImage)
  const start = (image.readUInt8(0x1f1) + 1) * SECTOR + image.readUInt32LE(0x248)
  // The packed kernel is followed by its unpacked size, four bytes that are counted in.
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c) - 4)
  if (!payload.subarray(0, XZ_MAGIC.length).equals(XZ_MAGIC)) {
    await writeFile(target, image)
    return
  }
  await writeFile(`${target}.xz`, payload)
  await command('xz', ['--decompress', `${target}.xz`])
}
