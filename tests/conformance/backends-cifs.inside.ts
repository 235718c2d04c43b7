import { insideSuite } from './inside-suite.ts'

insideSuite('cifs', 'cifs', { extents: 1000 })
