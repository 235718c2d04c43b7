/** Undoes things in the opposite order. One failure does not keep the others from being undone. */
export class CleanupStack implements AsyncDisposable {
  readonly #items: { readonly what: string; readonly undo: () => Promise<unknown> }[] = []

  add(what: string, undo: () => Promise<unknown>): void {
    this.#items.push({ what, undo })
  }

  /** @throws AggregateError naming what could not be undone */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: Error[] = []
    for (const { what, undo } of this.#items.splice(0).reverse()) {
      try {
        await undo()
      } catch (error) {
        failures.push(new Error(`${what} could not be cleaned up`, { cause: error }))
      }
    }
    if (failures.length > 0)
      throw new AggregateError(failures, failures.map(({ message }) => message).join('; '))
  }
}
