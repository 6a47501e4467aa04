/** Nobody holds a private page: a conversion to private waits for every reference, and none is taken afterwards. */

import { page, type Rule } from './rule.ts';

export const holders: Rule = {
  name: 'nobody holds a private page',
  *broken({ inodes }) {
    for (const inode of inodes) {
      for (const { start, end, value } of inode.shareability.within(0, inode.pages)) {
        if (value !== 'private') continue;
        const held = inode.windows.firstHeld({ start, end });
        if (held !== undefined) yield `${page(held)} of ${inode.title} is private, and an outsider holds it`;
        for (const [index, { references, poisoned }] of inode.filemap.within(start, end)) {
          // memory_failure() holds a broken page for good.
          if (references > (poisoned ? 1 : 0))
            yield `${page(index)} of ${inode.title} is private, with ${references} references`;
        }
      }
    }
  },
};
