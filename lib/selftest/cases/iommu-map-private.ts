/** Mapping memory for a device of which a part is private, by its address: the pages are pinned, or none is. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS } from '../conversion.ts';
import { attached, IOVA } from '../dma.ts';

interface Mapped {
  readonly pages: number;
  /** The one that is private. */
  readonly held: number;
}

const MANY = 1500;

const partly = defineCase<Mapped>({
  name: 'iommu-map-of-a-private-page',
  about:
    'One private page among those to be mapped, however many there are, makes it EFAULT, and none of them stays pinned: ' +
    'all can be made private (pin_user_pages(); kvm_gmem_fault_shared()).',
  requires: { ...CONVERTS, iommufd: true, iommufdTest: true },
  variants: {
    alone: { pages: 1, held: 0 },
    'first-of-few': { pages: 3, held: 0 },
    'last-of-few': { pages: 3, held: 2 },
    'first-of-many': { pages: MANY, held: 0 },
    'middle-of-many': { pages: MANY, held: MANY / 2 },
    'last-of-many': { pages: MANY, held: MANY - 1 },
  },
  async run(t, { pages, held }) {
    const size = pages * PAGE_SIZE;
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size, mmap: true, initially: 'shared' });
    const address = await t.map(gmem);
    const { space } = await attached(t);
    const page = { offset: held * PAGE_SIZE, size: PAGE_SIZE };
    t.succeeds(await gmem.tryConvert({ ...page, to: 'private' }), 'making the page private');
    t.fails(await space.tryMap({ address, length: size, iova: IOVA }), 'EFAULT', 'mapping all of them');
    t.succeeds(await gmem.tryConvert({ offset: 0, size, to: 'private' }), 'making all of them private');
    t.succeeds(await gmem.tryConvert({ offset: 0, size, to: 'shared' }), 'making all of them shared');
    t.succeeds(await space.tryMap({ address, length: size, iova: IOVA }), 'mapping all of them then');
    t.fails(await gmem.tryConvert({ ...page, to: 'private' }), 'EAGAIN', 'making the page private while it is mapped');
  },
});

export const cases: readonly AnyCase[] = [partly];
