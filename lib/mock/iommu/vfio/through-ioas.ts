/** What an I/O address of an IOAS leads to. */

import { PAGE_SIZE } from '../../../abi/linux.ts';
import { InodePages } from '../../guest-memfd/index.ts';
import type { Domain } from '../hardware/domain.ts';
import type { Ioas } from '../iommufd/ioas.ts';
import type { Pages } from '../pages/pages.ts';
import type { DmaTarget } from '../pci/dma-target.ts';

const PAGE = BigInt(PAGE_SIZE);

export function throughIoas(ioas: Ioas, domain: Domain, iova: bigint): DmaTarget | undefined {
  const area = ioas.table.areas.at(iova);
  if (!area?.filled) return undefined;
  const index = area.pageAt(iova);
  return {
    title: ioas.title,
    ...area.access,
    within: Number(area.byteAt(iova) % PAGE),
    folio: () => area.pages.folio(index),
    isFreed: area.pages.isFreed(index),
    isOthers: isOthers(area.pages, index),
    isTrusted: ioas.table.side === 'private',
    written: () => {
      if (domain.tracking) domain.setDirty(area, iova);
    },
  };
}

/** Whether the page is no longer in the state in which it was mapped. */
export function isOthers(pages: Pages, index: number): boolean {
  const shown = pages.at(index);
  if (!(shown?.owner instanceof InodePages) || shown.isParted) return false;
  return shown.owner.inode.shareability.get(shown.page) !== pages.side;
}
