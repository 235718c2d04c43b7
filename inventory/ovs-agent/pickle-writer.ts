/** Opcodes of protocol 2, as Python 2 writes them; see pickletools.py. */
const PROTO_2 = Buffer.of(0x80, 2)
const STOP = Buffer.from('.')

/** A pickled dictionary of `str`, as the ovs-agent stores it. For the demo and for tests. */
export function pickleStrings(record: Readonly<Record<string, string>>): Buffer {
  const items = Object.entries(record).flatMap(([key, value]) => [pythonStr(key), pythonStr(value)])
  return Buffer.concat([PROTO_2, Buffer.from('}('), ...items, Buffer.from('u'), STOP])
}

/** A pickled `str`. For the demo and for tests. */
export function pickleString(value: string): Buffer {
  return Buffer.concat([PROTO_2, pythonStr(value), STOP])
}

/** SHORT_BINSTRING or BINSTRING with the bytes of the text's UTF-8. */
function pythonStr(text: string): Buffer {
  const bytes = Buffer.from(text)
  if (bytes.length < 256) return Buffer.concat([Buffer.from('U'), Buffer.of(bytes.length), bytes])
  const length = Buffer.alloc(4)
  length.writeInt32LE(bytes.length)
  return Buffer.concat([Buffer.from('T'), length, bytes])
}
