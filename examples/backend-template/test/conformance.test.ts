import { conformance } from 'diskferry/conformance'
import factory from '../src/index.ts'

const { BACKEND_TEST_DIRECTORY: directory } = process.env
if (directory === undefined) {
  throw new Error('BACKEND_TEST_DIRECTORY must name a writable folder on the filesystem to test')
}
await conformance({
  backend: factory,
  backendOptions: { filesystems: ['xfs', 'btrfs'] },
  directory,
  // To compare the contents of 100,000 extents, the suite's own number, takes a minute; a fifth proves as much.
  extents: 20_000,
})
