/** An exclusive lock on a file, held across processes until it is disposed of or the process ends. */
export interface FileLocks {
  /**
   * Waits for the lock, creating the file (mode 0600) when it is absent. Follows no link in the place of the file.
   * @throws the signal's reason when aborted while waiting; any system error of opening or locking the file.
   */
  acquire(path: string, signal?: AbortSignal): Promise<AsyncDisposable>
}
