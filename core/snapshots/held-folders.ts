import type { HeldPath } from '../held-path.ts'

/** The folder of the new snapshot in each repository, held until it is made. */
export class HeldFolders implements AsyncDisposable {
  readonly #folders = new Map<string, HeldPath>()

  add(root: string, folder: HeldPath): void {
    this.#folders.set(root, folder)
  }

  /** A path through the descriptor. */
  of(root: string): string {
    return this.#folders.get(root)!.path
  }

  paths(): readonly string[] {
    return [...this.#folders.values()].map(({ path }) => path)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const folder of this.#folders.values()) await folder[Symbol.asyncDispose]()
  }
}
