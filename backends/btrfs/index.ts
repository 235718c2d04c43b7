import { BtrfsBackend } from './btrfs-backend.ts'

export default () => new BtrfsBackend()
