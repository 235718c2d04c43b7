import { DiskferryError } from '../core/errors.ts'
import { parentPath } from './key-path.ts'

interface Remark {
  readonly line: number
  readonly text: string
}

/** More than these help nobody, and a hostile file could hold a hundred thousand. */
const MAX_SHOWN = 50

/** Paths of hostile keys may be as long as the file. */
const MAX_PATH_LENGTH = 200

/** Collects what is wrong with a configuration file, so that all of it can be told at once. */
export class Problems {
  readonly #file: string
  readonly #lines: ReadonlyMap<string, number>
  readonly #problems: Remark[] = []
  readonly #warnings: Remark[] = []

  /** @param lines the line of each key, as `keyLines` gives them */
  constructor(file: string, lines: ReadonlyMap<string, number>) {
    this.#file = file
    this.#lines = lines
  }

  /** @param message what is wrong; what to do */
  report(path: string, message: string): void {
    this.#problems.push(this.#remark(path, message))
  }

  /** Something to put right that does not keep the program from starting. */
  warn(path: string, message: string): void {
    this.#warnings.push(this.#remark(path, message))
  }

  /** The line of a key, or of the table around it where the key is missing. The document starts at line 1. */
  lineOf(path: string): number {
    for (let place: string | undefined = path; place !== undefined && place !== ''; ) {
      const line = this.#lines.get(place)
      if (line !== undefined) return line
      const parent = parentPath(place)
      if (parent === place) break
      place = parent
    }
    return 1
  }

  get warnings(): readonly string[] {
    return inOrder(this.#warnings)
  }

  /** @throws CONFIG_INVALID with one line for each problem */
  throwIfAny(): void {
    if (this.#problems.length === 0) return
    const shown = inOrder(this.#problems)
    const more = shown.length - MAX_SHOWN
    const lines =
      more > 0 ? [...shown.slice(0, MAX_SHOWN), `${this.#file}: and ${more} more problems`] : shown
    throw new DiskferryError('CONFIG_INVALID', lines.join('\n'))
  }

  #remark(path: string, message: string): Remark {
    const line = this.lineOf(path)
    const shown = path.length > MAX_PATH_LENGTH ? `${path.slice(0, MAX_PATH_LENGTH)}...` : path
    const key = shown === '' ? '' : `${shown}: `
    return { line, text: `${this.#file}:${line}: ${key}${message}` }
  }
}

function inOrder(remarks: readonly Remark[]): readonly string[] {
  return remarks.toSorted((a, b) => a.line - b.line).map((remark) => remark.text)
}
