import { insideSuite } from './inside-suite.ts'

/**
 * All of the 100,000 pass, too, but take two and a half minutes, most of them for the emulated server, which looks for
 * each range.
 */
insideSuite('cifs', 'cifs', { extents: 20_000 })
