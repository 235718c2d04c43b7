/** Lets a test wait until something has come to be so. Whoever changes anything says so. */
export class Changes {
  #waiting: (() => void)[] = []

  notify(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resume of waiting) resume()
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resume) => this.#waiting.push(resume))
  }
}
