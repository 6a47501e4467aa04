export { type AnyCase, type Case, defineCase, type Requires, requirements } from './case.ts';
export { type Entry, type Filter, select, unmatched } from './filter.ts';
export { backendNames, type GroupSpec, hostOptions, planGroups, specName } from './groups.ts';
export { JsonReporter } from './json-reporter.ts';
export { KtapReporter, problemText } from './ktap-reporter.ts';
export type { CaseResult, Problem } from './outcome.ts';
export { GUP_TEST_FIX } from './pin.ts';
export { type CaseOptions, DEFAULT_TIMEOUT, runCase } from './run-case.ts';
export { runSuite, type SuiteOptions, whyAbsent } from './suite.ts';
