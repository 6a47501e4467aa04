/** Nobody maps a private page for the host, in any process; and what is mapped is the file's own page. */

import { page, type Rule } from './rule.ts';

export const hostMappings: Rule = {
  name: 'no process maps a private page',
  *broken({ inodes }) {
    for (const inode of inodes) {
      for (const mapping of inode.mappings) {
        for (const [index, folio] of mapping.mappedFilePages()) {
          const where = (): string => `${page(index)} of ${inode.title}`;
          if (inode.shareability.get(index) === 'private') yield `a process maps ${where()}, which is private`;
          if (inode.filemap.get(index) !== folio) yield `a process maps what was ${where()} before it was dropped`;
        }
      }
    }
  },
};
