/**
 * The steps at which a test kills the program, in the order in which they are passed, with what has been done there.
 * The crash tests of tests/storage kill at each and look at what the next start makes of it; another test holds this
 * table and the calls in the sources equal.
 */
export const FAULT_POINTS = {
  'database.broken-aside': 'the broken database has its new name, its journal not yet',
  'database.journal-aside': 'the journal of the broken database has its new name too',
  'trial.written': 'the source of a trial clone is there',
  'trial.cloned': 'the trial clone is there too',
  'create.stamped': 'every repository has its id, there is no record',
  'create.recorded': 'the record says creating, there is no file',
  'create.folder-made': 'one repository has the empty folder',
  'create.marked-unfinished': 'that folder says that it is unfinished',
  'quiesce.begun': 'the folders are there, the hook `before` has not run',
  'quiesce.at-rest': 'the hook `before` has run, nothing is cloned',
  'clone.hidden': 'a clone has its hidden file, which is empty',
  'clone.filled': 'the hidden file holds the clone',
  'clone.named': 'the clone has its own name beside the hidden one',
  'clone.renamed': 'over SMB: the clone has its own name in place of the hidden one',
  'clone.reflinked': 'on OCFS2: the clone has its own name, and neither its mode nor a sync',
  'create.cloned': 'one disk is cloned',
  'quiesce.cloned': 'every disk is cloned, the hook `after` has not run',
  'quiesce.released': 'the hook `after` has run, there is no snapshot.json',
  'create.manifest-half': 'the first half of snapshot.json is written, under its temporary name',
  'create.manifest-written': 'snapshot.json is whole under its temporary name',
  'create.manifest-named': 'snapshot.json has its name in one repository',
  'create.synced': 'one repository is synced',
  'create.mapped': 'the answer is known, the record still says creating',
  'create.ready': 'the record says ready, the client has no answer',
  'rollback.removed': 'the files of a snapshot that failed are gone, its record is not',
  'rollback.forgotten': 'its record is gone too, the client has no answer',
  'lease.file-half': 'the first half of a lease is written in one repository, under its temporary name',
  'lease.file-written': 'the lease is whole there under its temporary name',
  'lease.file-named': 'the lease has its name in one repository, the record does not have it',
  'lease.recorded': 'the record has the lease too, the client has no answer',
  'lease.file-removed': 'the file of a lease is gone in one repository, the record has it',
  'lease.forgotten': 'the lease is gone from the record too, the client has no answer',
  'audit.marked': 'an audit has marked a pair that is wrong and told nobody of it',
  'delete.marked': 'the record says deleting, every file is there',
  'remove.retired': 'snapshot.json is out of the way in one repository',
  'remove.file': 'one file is gone',
  'remove.emptied': 'every file is gone, the folder is there',
  'remove.folder': 'the folder is gone in one repository',
  'remove.synced': 'and is gone for good there',
  'delete.removed': 'all files are gone, the record says deleting',
  'delete.forgotten': 'the record is gone too, the client has no answer',
  'purge.next': 'one snapshot of several is deleted',
  'recover.found': 'a start has found an unfinished snapshot and done nothing',
  'recover.removed': 'a start has removed the files of an unfinished snapshot',
  'recover.forgotten': 'a start has removed its record too',
  'rebuild.begun': 'the new database says that it is to be filled',
  'rebuild.read': 'one snapshot.json is read',
  'rebuild.recorded': 'one snapshot is in the index again',
  'rebuild.marked': 'one repository is done',
  'adopt.recorded': 'an orphan is in the index, the command has not said so',
} as const

export type FaultPoint = keyof typeof FAULT_POINTS

/** `<point>`, or `<point>:<n>` for the n-th time that it is passed. For tests only: it kills the program. */
export const FAULT_POINT_VARIABLE = 'DISKFERRY_TEST_FAULT_POINT'

let passed = 0

/**
 * Kills the program here with SIGKILL, if that is what the environment asks for. Only tests ask; for everybody else this
 * looks at one variable and does nothing.
 */
export function faultPoint(point: FaultPoint): void {
  const wanted = process.env[FAULT_POINT_VARIABLE]
  if (wanted === undefined) return
  const [name, count = '1'] = wanted.split(':')
  if (name !== point) return
  passed += 1
  if (passed === Number(count)) process.kill(process.pid, 'SIGKILL')
}
