#!/usr/bin/env node
/**
 * The installed command. libuv reads the size of its thread pool when the pool is first used, and node uses it to load
 * ES modules: so this is the only kind of file that runs early enough to set it. See docs/operations.md.
 */
process.env['UV_THREADPOOL_SIZE'] ??= '512'
void import('./main.ts')
