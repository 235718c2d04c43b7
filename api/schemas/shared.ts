import { auditSchema } from './audit.ts'
import { leaseSchema } from './lease.ts'
import { backendSchema, repositorySchema } from './repository.ts'
import { errorSchema } from './responses.ts'
import { snapshotSchema } from './snapshot.ts'
import { vmSchema } from './vm.ts'

/** The schemas that routes refer to by name. */
export const SHARED_SCHEMAS = [
  errorSchema,
  vmSchema,
  leaseSchema,
  snapshotSchema,
  repositorySchema,
  backendSchema,
  auditSchema,
]
