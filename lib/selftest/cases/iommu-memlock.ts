/** Pinned memory counts against RLIMIT_MEMLOCK: once for each map, and not again for a copy. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { IOVA, iommufd, memory, PAGE } from '../dma.ts';
import { memlockLimit } from '../memlock.ts';

/** Beyond this the case would take more memory than a test may. */
const MOST_PAGES = 4096;

const limit = defineCase({
  name: 'iommu-memlock',
  about:
    'As many pages as may be locked can be mapped, and not one more; the same pages mapped again count again, a copy ' +
    'does not, and unmapping gives them back (iopt_pages_update_pinned()).',
  requires: { iommufdTest: true },
  async run(t) {
    const bytes = await memlockLimit(t.host);
    if (typeof bytes === 'string') return t.skip(`needs a limit of locked memory: ${bytes}`);
    const pages = Math.floor(bytes / PAGE_SIZE);
    if (pages < 1 || pages > MOST_PAGES)
      t.skip(`needs a limit of 1 to ${MOST_PAGES} pages; it is ${pages} (ulimit -l)`);
    const file = await iommufd(t);
    const space = await file.allocIoas();
    await file.test.mockDevice(space);
    const mapping = await memory(t, pages + 1);
    const all = { address: mapping, length: pages * PAGE_SIZE };
    const one = { address: mapping, offset: pages * PAGE_SIZE, length: PAGE_SIZE };
    t.succeeds(await space.tryMap({ ...all, iova: IOVA }), 'mapping as much as may be locked');
    t.fails(await space.tryMap({ ...one, iova: 2n * IOVA }), 'ENOMEM', 'mapping a page more');
    t.fails(await space.tryMap({ ...all, iova: 2n * IOVA }), 'ENOMEM', 'mapping the same again');
    const length = BigInt(pages) * PAGE;
    t.succeeds(await space.tryCopy({ sourceIova: IOVA, length, iova: 2n * IOVA }), 'copying it');
    await space.unmap({ iova: IOVA, length });
    t.fails(await space.tryMap({ ...one, iova: IOVA }), 'ENOMEM', 'mapping a page more while there is the copy');
    await space.unmap({ iova: 2n * IOVA, length });
    t.succeeds(await space.tryMap({ ...one, iova: IOVA }), 'mapping it when all was unmapped');
    t.succeeds(await space.tryUnmapAll(), 'unmapping it');
  },
});

const late = defineCase({
  name: 'iommu-memlock-at-attach',
  about: 'Without a device nothing is counted; what is too much shows when one is attached.',
  requires: { iommufdTest: true },
  async run(t) {
    const bytes = await memlockLimit(t.host);
    if (typeof bytes === 'string') return t.skip(`needs a limit of locked memory: ${bytes}`);
    const pages = Math.floor(bytes / PAGE_SIZE) + 1;
    if (pages > MOST_PAGES) t.skip(`needs a limit of at most ${MOST_PAGES} pages; it is ${pages - 1} (ulimit -l)`);
    const file = await iommufd(t);
    const space = await file.allocIoas();
    t.succeeds(
      await space.tryMap({ address: await memory(t, pages), iova: IOVA }),
      'mapping too much without a device',
    );
    t.fails(await file.test.tryMockDevice(space), 'ENOMEM', 'attaching');
    await space.unmapAll();
    t.succeeds(await file.test.tryMockDevice(space), 'attaching when it was unmapped');
  },
});

export const cases: readonly AnyCase[] = [limit, late];
