/** What a call may cost, and what the mock must manage. */

import type { OperationName } from './operations.ts';

export interface Target {
  readonly op: OperationName;
  readonly by: string;
  /** The time of a call, as a multiple of the same call's in C. */
  readonly ratioAtMost: number;
}

export const targets: readonly Target[] = [
  { op: 'check-extension', by: 'addon sync', ratioAtMost: 1.6 },
  { op: 'check-extension', by: 'addon async, 1,000 in flight', ratioAtMost: 3 },
  { op: 'check-extension-many', by: 'addon sync', ratioAtMost: 1.1 },
  { op: 'convert-2mib', by: 'addon sync', ratioAtMost: 1.05 },
];

export const mockTarget = { ranges: 100_000, conversionsPerSecondAtLeast: 300_000 };
