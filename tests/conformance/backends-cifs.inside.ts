import { insideSuite } from './inside-suite.ts'

insideSuite('cifs', 'cifs')
