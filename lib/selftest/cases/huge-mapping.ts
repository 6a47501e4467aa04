/** How large the guest's mappings are: as large as the folio, the memslot and the hardware let them be. */

import { type HugePageSize, PAGE_SIZE } from '../../abi/index.ts';
import type { VmType } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { hugeVariants, needsHuge } from '../huge.ts';
import { HugeScenario, SOFTWARE } from '../huge-scenario.ts';
import { bytesOf } from '../huge-size.ts';
import { GUEST_START } from '../scenario.ts';

const MAPPED = needsHuge({ ...SOFTWARE, flags: ['init-private'], guest: true, mock: true });

const follows = defineCase<HugePageSize>({
  name: 'huge_mapping_follows_the_folio',
  about:
    'A private huge page is mapped whole; one that is split, page by page; merged again, whole again as soon as it is ' +
    'faulted in anew (kvm_mmu_max_mapping_level(); patch 38).',
  requires: MAPPED,
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, initially: 'private' });
    const seen = (page: number) => t.mock.guest(s.vm.fd).mapping(s.gpa(page));
    await s.guestWrites(3, 1);
    const whole = { size: bytesOf(hugePageSize), access: 'private' as const };
    t.equal(seen(0), whole, 'the mapping of a huge page');
    await s.convert(5, 1, 'shared');
    t.equal(seen(0), undefined, 'the mapping after a part was converted');
    await s.guestFinds(3, 1);
    await s.guestWrites(5, 2);
    t.equal(seen(3), { size: PAGE_SIZE, access: 'private' }, 'the mapping of a page of a split huge page');
    t.equal(seen(5), { size: PAGE_SIZE, access: 'shared' }, 'the mapping of its shared page');
    await s.convert(5, 1, 'private');
    t.equal(seen(5), undefined, 'the mapping of the page that was converted');
    t.equal(seen(3), { size: PAGE_SIZE, access: 'private' }, 'the mapping of one that was not');
    await s.guestFinds(5, 2);
    t.equal(seen(3), whole, 'the mapping after a fault in the merged huge page');
    await s.guestFinds(3, 1);
  },
});

interface Placement {
  /** Pages by which the slot is off, in the guest, and where it begins in the file. */
  readonly ahead: number;
  readonly first: number;
  /** Whether it has a userspace_addr; 0 is as good as any other there, as far as alignment goes. */
  readonly userspace: boolean;
  /** The page of the slot that is touched. */
  readonly page: number;
  readonly size: number;
}

const placed = defineCase<Placement>({
  name: 'huge_mapping_needs_alignment',
  about: 'Where guest and file are out of step, or the slot ends, mappings are small (patch 31, lpage_info).',
  requires: MAPPED('2M'),
  variants: {
    aligned: { ahead: 0, first: 0, userspace: true, page: 8, size: 0x20_0000 },
    'aligned-without-userspace': { ahead: 0, first: 0, userspace: false, page: 8, size: 0x20_0000 },
    'out-of-step': { ahead: 1, first: 0, userspace: true, page: 8, size: PAGE_SIZE },
    'from-within': { ahead: 1, first: 1, userspace: true, page: 8, size: PAGE_SIZE },
    'from-within-second-huge-page': { ahead: 1, first: 1, userspace: true, page: 520, size: 0x20_0000 },
    'from-within-without-userspace': { ahead: 1, first: 1, userspace: false, page: 520, size: PAGE_SIZE },
  },
  async run(t, { ahead, first, userspace, page, size }) {
    const P = 0x20_0000;
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: 2 * P, mmap: true, initially: 'private', hugePageSize: '2M' });
    const guestPhysAddr = GUEST_START + BigInt(ahead * PAGE_SIZE);
    const gmemOffset = first * PAGE_SIZE;
    const userspaceAddr = userspace ? (await t.map(gmem)).address + BigInt(gmemOffset) : 0n;
    await vm.setMemoryRegion({ slot: 0, guestPhysAddr, size: 2 * P - gmemOffset, gmem, gmemOffset, userspaceAddr });
    const gpa = guestPhysAddr + BigInt(page * PAGE_SIZE);
    t.equal((await t.guest(vm).write(gpa, Uint8Array.of(1))).ok, true, 'the guest writes');
    t.equal(t.mock.guest(vm.fd).mapping(gpa), { size, access: 'private' }, 'the mapping');
  },
});

const byHardware = defineCase<{ readonly type: VmType; readonly size: number }>({
  name: 'huge_mapping_by_hardware',
  about: 'SEV-SNP maps 2 MiB at most, TDX single pages (private_max_mapping_level()), whatever the huge page is.',
  requires: ({ type }) => ({ ...MAPPED('1G'), vmType: type }),
  variants: { snp: { type: 'snp', size: 0x20_0000 }, tdx: { type: 'tdx', size: PAGE_SIZE } },
  async run(t, { size }) {
    const s = await HugeScenario.create(t, { hugePageSize: '1G', initially: 'private' });
    const guest = t.mock.guest(s.vm.fd);
    t.equal(guest.write(s.gpa(700), Uint8Array.of(1)), { ok: true }, 'the guest writes');
    t.equal(guest.mapping(s.gpa(700)), { size, access: 'private' }, 'the mapping');
  },
});

const preFault = defineCase<HugePageSize>({
  name: 'huge_mapping_first_touch',
  about: 'The guest’s first touch zeroes and maps all of a private huge page at once (folio_zero_user()).',
  requires: (size) => ({ ...MAPPED(size), journal: true }),
  variants: hugeVariants,
  async run(t, hugePageSize) {
    const s = await HugeScenario.create(t, { hugePageSize, initially: 'private' });
    const touch = async () => {
      t.mock.journal.clear();
      await s.guestFinds(s.pages - 1, 0);
      return t.mock.journal.entries
        .filter(({ target }) => target.startsWith('inode'))
        .map(({ step, start, end }) => [step, start, end])
        .filter(([, , end]) => (end as number) >= s.pages);
    };
    const first = await touch();
    t.equal(
      first,
      [
        ['allocate', 0, s.pages],
        ['zero', 0, s.pages],
      ],
      'the first touch',
    );
    t.equal(await touch(), [], 'the second touch');
  },
});

export const cases: readonly AnyCase[] = [follows, placed, byHardware, preFault];
