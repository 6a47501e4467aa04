/** References balance: nobody lets go of a page more often than it was taken. */

import { page, type Rule } from './rule.ts';

export const references: Rule = {
  name: 'references balance',
  *broken({ inodes, memory }) {
    for (const inode of inodes) {
      for (const [index, { references }] of inode.filemap.within(0, inode.pages)) {
        if (references < 0) yield `${page(index)} of ${inode.title} has ${references} references`;
      }
    }
    for (const { references } of memory.orphans()) {
      if (references <= 0) yield `a page that nobody holds has left its file and was not freed`;
    }
  },
};
