/** What a run found. */

import type { Result } from './kernel.ts';
import type { Machine } from './machine.ts';
import type { MockResult } from './mock.ts';
import type { mockTarget, Target } from './targets.ts';

export interface Report {
  readonly machine: Machine;
  readonly targets: { readonly kernel: readonly Target[]; readonly mock: typeof mockTarget };
  readonly results: readonly Result[];
  readonly mock: readonly MockResult[];
}

/** Whether every target that was measured is met. */
export const allMet = ({ results, mock }: Report): boolean => ![...results, ...mock].some(({ met }) => met === false);
