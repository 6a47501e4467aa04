/** No shared IOAS maps a private page, where anybody but the VMM is to see to that. */

import { page, type Rule } from './rule.ts';

export const devices: Rule = {
  name: 'no shared IOAS maps a private page',
  *broken({ inodes }) {
    for (const inode of inodes) {
      for (const client of inode.clients) {
        for (const { start, end, side, follows } of client.outsideRanges?.() ?? []) {
          if (!follows) continue;
          const wrong = inode.shareability.within(start, end).find(({ value }) => value !== side);
          if (wrong) yield `an IOAS maps ${page(wrong.start)} of ${inode.title} as ${side}, and it is ${wrong.value}`;
        }
      }
    }
  },
};
