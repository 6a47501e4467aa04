/** What the hardware has given a guest is private memory of it; a VM that died of a failed step is beyond that. */

import { page, type Rule } from './rule.ts';

export const hardware: Rule = {
  name: 'a guest has private pages only',
  *broken({ inodes, platform, vms }) {
    if (platform.ownedPages === 0 || [...vms].some((vm) => vm.dead)) return;
    for (const inode of inodes) {
      for (const { start, end, value } of inode.shareability.within(0, inode.pages)) {
        if (value === 'private') continue;
        for (const [index, folio] of inode.filemap.within(start, end)) {
          if (platform.owner(folio)) yield `${page(index)} of ${inode.title} is shared, and a guest has it`;
        }
      }
    }
  },
};
