/** The conformance suite: what the author of a storage backend runs to know that it keeps the contract. */
export type { Check, CheckGroup, CheckResult, Outcome } from './check.ts'
export { CHECK_GROUPS } from './checks.ts'
export { conformance } from './conformance.ts'
export { parseSteps, type Step } from './history/steps.ts'
export type { ConformanceOptions } from './options.ts'
export { type ConformanceRun, runConformance, type SelectedCheck } from './run-conformance.ts'
export type { Suite } from './suite.ts'
