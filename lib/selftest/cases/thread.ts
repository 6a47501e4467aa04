/** Conversions and truncations of memory that devices have, in each design that was proposed: in the order of reports. */

import type { AnyCase } from '../case.ts';
import { cases as conversion } from './thread-conversion.ts';
import { cases as hugePages } from './thread-huge-pages.ts';
import { cases as privateSide } from './thread-private-side.ts';
import { cases as spans } from './thread-spans.ts';
import { cases as steps } from './thread-steps.ts';
import { cases as truncation } from './thread-truncation.ts';

export const cases: readonly AnyCase[] = [
  ...conversion,
  ...truncation,
  ...spans,
  ...steps,
  ...hugePages,
  ...privateSide,
];
