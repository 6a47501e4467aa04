/** One state per page: the tree covers the file, and neighbours of one state are one run. */

import { page, type Rule } from './rule.ts';

export const states: Rule = {
  name: 'one state per page',
  *broken({ inodes }) {
    for (const { shareability, pages, title } of inodes) {
      let at = 0;
      let before: string | undefined;
      for (const { start, end, value } of shareability.within(0, pages)) {
        if (start !== at || end <= start) yield `${title} has no state, or two, at ${page(at)}`;
        if (value === before) yield `${title} has two runs of ${value} pages side by side at ${page(start)}`;
        before = value;
        at = end;
      }
      if (at !== pages) yield `${title} has no state from ${page(at)} on`;
    }
  },
};
