import { constants } from 'node:os'

/** What node writes in place of a name and a text; docs of libuv, uv_err_name(3). */
const UNNAMED = /Unknown system error (-\d+)(?:: Unknown system error \1)?/g

/** Lost in node's own table too: asm-generic/errno.h */
const FURTHER_NAMES: Readonly<Record<number, string>> = { 117: 'EUCLEAN', 123: 'ENOMEDIUM' }

const TEXTS: Readonly<Record<string, string>> = {
  EDQUOT: 'the disk quota is exceeded',
  ESTALE: 'stale file handle',
  EUCLEAN: 'the filesystem is damaged and needs a check',
}

const NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
  ...Object.entries(FURTHER_NAMES).map(([number, name]) => [Number(number), name] as const),
])

/**
 * libuv has no name for some errors of a filesystem, ESTALE and EDQUOT among them: node calls them `Unknown system error
 * -116`, in the error's code and in its message. Gives the text with the kernel's names.
 */
export function nameUnnamedErrors(text: string): string {
  return text.replace(UNNAMED, (whole, number: string) => {
    const name = NAMES.get(-Number(number))
    if (name === undefined) return whole
    return whole === `Unknown system error ${number}` ? name : `${name}: ${TEXTS[name] ?? name}`
  })
}
