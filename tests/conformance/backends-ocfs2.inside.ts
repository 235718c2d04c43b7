import { insideSuite } from './inside-suite.ts'

insideSuite('ocfs2', 'ocfs2', { extents: 2000 })
insideSuite('ocfs2-1m', 'ocfs2', { extents: 2000 })
