/** When nothing is open and nothing mapped, nothing is in use. */

import type { Rule } from './rule.ts';

export const close: Rule = {
  name: 'memory and counters return to zero',
  *broken({ fds, memory, platform, vms, inodes, hugePages }) {
    if (fds.size > 0 || memory.users.size > 0 || memory.orphaned > 0) return;
    if (memory.pagesInUse > 0) yield `${memory.pagesInUse} pages are in use`;
    if (platform.ownedPages > 0) yield `${platform.ownedPages} pages are guests’`;
    if (vms.size > 0) yield `${vms.size} VMs live`;
    if (inodes.size > 0) yield `${inodes.size} guest_memfds live`;
    for (const [size, { free, total, reserved }] of hugePages) {
      if (free !== total || reserved !== 0)
        yield `of ${total} huge pages of ${size}, ${free} are free, ${reserved} reserved`;
    }
  },
};
