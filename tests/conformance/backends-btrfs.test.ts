import { testBackend } from './backend-conformance.ts'

testBackend('btrfs')
