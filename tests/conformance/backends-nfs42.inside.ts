import { insideSuite } from './inside-suite.ts'

/** Each extent of a map is two round trips to a server, and the server is emulated too. */
insideSuite('nfs42', 'nfs42', { extents: 1000 })
