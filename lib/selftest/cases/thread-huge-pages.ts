/**
 * Both flows of the design of June 2025, every step of them, for memory in huge pages that lies in two memslots: begin,
 * each memslot's guest mappings, the IOMMU with the reason, the host's mappings and its references, the state, the huge
 * page, end; and then what user space maps on the other side.
 */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { lends } from '../lent-memory.ts';
import { GUEST_START, type State } from '../scenario.ts';

/** In pages: one huge page, of which each memslot has a half. */
const P = 512;
const HALF = P / 2;
const SLOTS = [10, 11];
const GFN = Number(GUEST_START) / PAGE_SIZE;
/** Where devices have it; aligned as a huge page is. */
const IOVA = 0x400_0000n;
const IO_PAGE = Number(IOVA) / PAGE_SIZE;
const RETRY = { retry: { attempts: 100, delayMs: 1 } };

const bytes = (pages: number): number => pages * PAGE_SIZE;

/** A step with its range and, where it has one, its reason; targets without the numbers of VMs and files. */
type Step = readonly [string, number, number, string?];

/** The steps since the last look. */
function steps(t: T): Step[] {
  const { journal } = t.mock;
  const seen = journal.entries.map(({ step, start, end, reason }): Step => {
    return reason === undefined ? [step, start, end] : [step, start, end, reason];
  });
  journal.clear();
  return seen;
}

async function memoryOf(t: T, initially: State) {
  const vm = await t.vm();
  const gmem = await t.gmem(vm, { size: bytes(P), mmap: true, initially, hugePageSize: '2M' });
  const mapping = await t.map(gmem);
  for (const [i, slot] of SLOTS.entries()) {
    const offset = BigInt(bytes(i * HALF));
    const userspaceAddr = mapping.address + offset;
    const guestPhysAddr = GUEST_START + offset;
    await vm.setMemoryRegion({ slot, guestPhysAddr, size: bytes(HALF), gmem, gmemOffset: offset, userspaceAddr });
  }
  const iommufd = await t.host.iommufd();
  t.defer(() => iommufd.close());
  const [shared, secure] = [await iommufd.allocIoas(), await iommufd.allocIoas()];
  t.mock.makePrivateSide(iommufd.fd, secure.id);
  for (const ioas of [shared, secure]) {
    const device = await iommufd.test.mockDevice(ioas);
    t.defer(() => device.close());
  }
  const map = async (ioas: typeof shared, first: number, count: number): Promise<void> => {
    const piece = { file: gmem, start: bytes(first), length: bytes(count), iova: IOVA + BigInt(bytes(first)) };
    t.succeeds(await ioas.tryMapFile(piece), `mapping pages ${first}+${count}`);
  };
  const convert = async (first: number, count: number, to: State): Promise<void> => {
    const range = { offset: bytes(first), size: bytes(count), to };
    t.succeeds(await gmem.tryConvert(range, RETRY), `converting pages ${first}+${count} to ${to}`);
  };
  return { gmem, mapping, shared, secure, map, convert };
}

/** What becomes of a device's translation of pages [start, end); large entries of its page table are split before. */
function fate(t: T, start: number, end: number, reason: string, split: readonly Step[]): Step[] {
  const range = [IO_PAGE + start, IO_PAGE + end] as const;
  if (t.mock.platform === 'sev-snp') return [['iommu-keep', ...range, reason]];
  return [...split, ['iommu-unmap', ...range, reason]];
}

/** One range that lies in both memslots: each lets go of its part. */
const stage2 = (start: number, end: number, reason: string): Step[] => [
  ['unmap-stage2', GFN + start, GFN + HALF, reason],
  ['unmap-stage2', GFN + HALF, GFN + end, reason],
];

/** The part that is converted: over the border of the memslots. */
const [START, END] = [HALF - 8, HALF + 24];

const requires = { ...lends({ hugePageSize: '2M', journal: true })('notifier') };

const toPrivate = defineCase({
  name: 'thread-huge-pages-to-private',
  about:
    'Shared to private, in order: the shared side lets go of the part before its state changes, the huge page is merged ' +
    'when nothing of it is shared any more, and user space maps the part on the private side.',
  requires,
  async run(t) {
    const { mapping, shared, secure, map, convert } = await memoryOf(t, 'shared');
    await mapping.write(0, Uint8Array.of(1));
    await map(shared, 0, P);
    steps(t);
    const reason = 'convert-to-private';
    await convert(START, END - START, 'private');
    const around = (start: number, end: number): Step => ['iommu-split', IO_PAGE + start, IO_PAGE + end];
    t.equal(
      steps(t),
      [
        ['invalidate-begin', 0, P, reason],
        ...stage2(START, END, reason),
        ...fate(t, START, END, reason, [around(0, P), around(HALF, P)]),
        ['unmap-host', START, END, reason],
        ['check-references', START, END],
        ['set-shareability', START, END],
        ['invalidate-end', 0, P, reason],
      ],
      'converting a part',
    );
    await map(secure, START, END - START);
    t.equal(steps(t), [['iommu-map', IO_PAGE + START, IO_PAGE + END]], 'mapping it on the private side');
    await convert(0, START, 'private');
    steps(t);
    await convert(END, P - END, 'private');
    t.equal(
      steps(t),
      [
        ['invalidate-begin', 0, P, reason],
        ['unmap-stage2', GFN + END, GFN + P, reason],
        ...fate(t, END, P, reason, []),
        ['unmap-host', END, P, reason],
        ['check-references', END, P],
        ['set-shareability', END, P],
        ['merge-folio', 0, P],
        ['invalidate-end', 0, P, reason],
      ],
      'converting the last of it',
    );
  },
});

const toShared = defineCase({
  name: 'thread-huge-pages-to-shared',
  about:
    'Private to shared, in order: the private side lets go of the part before its state changes, then the huge page is ' +
    'split, and user space maps the part on the shared side.',
  requires,
  async run(t) {
    const { gmem, shared, secure, map, convert } = await memoryOf(t, 'private');
    await gmem.allocate({ offset: 0, size: bytes(P) });
    await map(secure, 0, P);
    steps(t);
    const reason = 'convert-to-shared';
    await convert(START, END - START, 'shared');
    const around = (start: number, end: number): Step => ['iommu-split', IO_PAGE + start, IO_PAGE + end];
    const found = steps(t).filter(([step]) => step !== 'make-shared');
    t.equal(
      found,
      [
        ['invalidate-begin', 0, P, reason],
        ...stage2(START, END, reason),
        ...fate(t, START, END, reason, [around(0, P), around(HALF, P)]),
        ['set-shareability', START, END],
        ['split-folio', 0, P],
        ['invalidate-end', 0, P, reason],
      ],
      'converting a part',
    );
    await map(shared, START, END - START);
    t.equal(steps(t).at(-1), ['iommu-map', IO_PAGE + START, IO_PAGE + END], 'mapping it on the shared side');
  },
});

export const cases: readonly AnyCase[] = [toPrivate, toShared];
