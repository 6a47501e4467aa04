/** Begin and end balance: between two calls nothing is under way. */

import type { Rule } from './rule.ts';

export const balance: Rule = {
  name: 'begin and end balance',
  *broken({ vms, inodes }) {
    for (const { stage2, number } of vms) {
      if (stage2.invalidations > 0) yield `vm ${number} has ${stage2.invalidations} invalidations that never ended`;
    }
    for (const inode of inodes) {
      if (inode.isChanging({ start: 0, end: inode.pages })) yield `${inode.title} is being changed, by nobody`;
    }
  },
};
