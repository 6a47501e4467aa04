/** Every case, in the order in which reports show them. */

import type { AnyCase } from '../case.ts';
import { cases as create } from './create.ts';
import { cases as fallocate } from './fallocate.ts';
import { cases as flags } from './flags.ts';
import { cases as hostAccess } from './host-access.ts';
import { cases as mmap } from './mmap.ts';
import { cases as punchHole } from './punch-hole.ts';
import { cases as stat } from './stat.ts';

export const cases: readonly AnyCase[] = [
  ...create,
  ...flags,
  ...stat,
  ...mmap,
  ...hostAccess,
  ...fallocate,
  ...punchHole,
];
