import { insideSuite } from './inside-suite.ts'

insideSuite('nfs42', 'nfs42')
