/** A huge page is whole only where all of it is private: the host may hold single pages alone. */

import { page, type Rule } from './rule.ts';

export const folios: Rule = {
  name: 'huge pages with shared pages are split',
  *broken({ inodes }) {
    for (const { hugePages, mappable, pages, shareability, title } of inodes) {
      if (!hugePages || !mappable) continue;
      for (const { isSplit, range } of hugePages.touching({ start: 0, end: pages })) {
        if (isSplit || shareability.isAll(range.start, range.end, 'private')) continue;
        yield `the huge page at ${page(range.start)} of ${title} is whole, and not all of it is private`;
      }
    }
  },
};
