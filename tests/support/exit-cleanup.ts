/**
 * What must be undone when a test process ends before its tests could do it: on exit, and on the signals of
 * Ctrl-C and of a runner that gives up.
 */

type Cleanup = () => void

const pending = new Set<Cleanup>()
let installed = false

function runAll(): void {
  for (const cleanup of [...pending].reverse()) {
    pending.delete(cleanup)
    try {
      cleanup()
    } catch (error) {
      console.error(error)
      process.exitCode = 1
    }
  }
}

function install(): void {
  installed = true
  process.on('exit', runAll)
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.on(signal, () => {
      runAll()
      process.exit(128 + number)
    })
  }
}

/** Registers a synchronous cleanup, run last in first out. Gives the function that takes it back. */
export function onProcessExit(cleanup: Cleanup): () => void {
  if (!installed) install()
  pending.add(cleanup)
  return () => {
    pending.delete(cleanup)
  }
}
