import { insideSuite } from './inside-suite.ts'

insideSuite('ocfs2', 'ocfs2')
/** So many blocks would lie in a few clusters. */
insideSuite('ocfs2-1m', 'ocfs2', { extents: 2000 })
