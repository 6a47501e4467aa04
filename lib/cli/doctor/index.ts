export { examine, type Section } from './examine.ts';
export type { Finding, System } from './finding.ts';
export { findingsText } from './text.ts';
