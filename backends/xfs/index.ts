import { XfsBackend } from './xfs-backend.ts'

export default () => new XfsBackend()
