import { Ocfs2Backend } from './ocfs2-backend.ts'

export default () => new Ocfs2Backend()
