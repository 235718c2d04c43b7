import { CifsBackend } from './cifs-backend.ts'

export default () => new CifsBackend()
