import { Nfs42Backend } from './nfs42-backend.ts'

export default () => new Nfs42Backend()
