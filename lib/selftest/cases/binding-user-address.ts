/** What a slot's userspace_addr may be: anything, except in RFC v2: guest_memfd_test, test_bind_guest_memfd_wrt_userspace_addr. */

import { KVM_MEM_GUEST_MEMFD, PAGE_SIZE } from '../../abi/index.ts';
import type { GuestMemfd, Vm } from '../../kvm/index.ts';
import { anonymous, memfd, mmap } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { checksUserspaceAddr } from '../facts.ts';
import { PATTERN, PatternFile } from '../pattern.ts';
import { checkBound, deleteSlot, setRegion } from '../region.ts';

const P = BigInt(PAGE_SIZE);
const GPA = 0x1_0000_0000n;

interface Row {
  /** The address to pass. */
  readonly address: (t: T, file: PatternFile) => Promise<bigint>;
  /** The pages of the file that are bound; the first by default. */
  readonly page?: number;
  readonly pages?: number;
  /** Whether it is the same memory in the kernel's eyes. */
  readonly same: boolean;
}

const mapped = async (t: T, gmem: GuestMemfd, page: number, pages: number): Promise<bigint> =>
  t.succeeds(await mmap(t, gmem, { offset: page * PAGE_SIZE, length: pages * PAGE_SIZE }), 'mapping the file');

async function otherFile(t: T, vm: Vm): Promise<bigint> {
  const other = await t.gmem(vm, { size: 2n * P, mmap: true, initially: 'shared' });
  return mapped(t, other, 0, 2);
}

const rows: Readonly<Record<string, Row>> = {
  nowhere: { address: async () => 0n, same: true },
  'anonymous-memory': { address: (t) => anonymous(t, PAGE_SIZE), same: false },
  memfd: {
    address: async (t) =>
      t.succeeds(await mmap(t, await memfd(t, PAGE_SIZE), { length: PAGE_SIZE }), 'mapping a memfd'),
    same: false,
  },
  'another-guest-memfd': { address: (t, { vm }) => otherFile(t, vm), same: false },
  'another-page': { address: (t, { gmem }) => mapped(t, gmem, 1, 1), same: false },
  'a-page-for-another': { address: (t, { gmem }) => mapped(t, gmem, 0, 2), page: 1, same: false },
  'the-same-page': { address: (t, { gmem }) => mapped(t, gmem, 1, 1), page: 1, same: true },
  'the-same-page-within-a-mapping': {
    address: async (_t, { mapping }) => mapping.address + 2n * P,
    page: 2,
    same: true,
  },
  'the-first-page-of-two': { address: (t, { gmem }) => mapped(t, gmem, 0, 1), pages: 2, same: true },
  'the-same-page-of-a-copied-descriptor': {
    address: async (t, { gmem }) => {
      const copy = await gmem.dup();
      t.defer(() => copy.close());
      return mapped(t, copy, 0, 1);
    },
    same: true,
  },
  // The lowest address that a process may map, where none does by itself.
  'nothing-mapped': { address: async () => 0x1_0000n, same: false },
};

const userAddress = defineCase<Row>({
  name: 'bind_guest_memfd_wrt_userspace_addr',
  about:
    'RFC v2: userspace_addr must be 0 or map the very file and offset that is bound, by its first address and now, ' +
    'else EINVAL (kvm_gmem_bind(), patch 08). Elsewhere nobody looks at it. A munmap later does no harm.',
  requires: PATTERN,
  variants: rows,
  async run(t, { address, page = 0, pages = 1, same }) {
    const file = await PatternFile.create(t);
    const region = {
      slot: 10,
      flags: KVM_MEM_GUEST_MEMFD,
      guest_phys_addr: GPA,
      memory_size: BigInt(pages) * P,
      userspace_addr: await address(t, file),
      guest_memfd: file.gmem.fd,
      guest_memfd_offset: BigInt(page) * P,
    };
    const answer = await setRegion(t, file.vm, region);
    const accepted = same || !checksUserspaceAddr(t.features);
    if (accepted) t.succeeds(answer, 'binding');
    else t.fails(answer, 'EINVAL', 'binding');
    const bound = Array.from({ length: file.pages }, (_, i) => accepted && i >= page && i < page + pages);
    await checkBound(t, file.vm, file.gmem, bound, 'then');
    await file.isIntact('then');
    if (accepted) t.succeeds(await deleteSlot(t, file.vm, 10), 'deleting the slot');
  },
});

const unmappable = defineCase({
  name: 'bind-user-address-of-an-unmappable-file',
  about: 'A file that cannot be mapped cannot be at any address, so none is refused (RFC v2: kvm_gmem_bind()).',
  async run(t) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: P });
    const userspaceAddr = await anonymous(t, PAGE_SIZE);
    t.succeeds(await vm.trySetMemoryRegion({ slot: 10, guestPhysAddr: GPA, size: P, gmem, userspaceAddr }), 'binding');
  },
});

const unmapLater = defineCase({
  name: 'bind-then-munmap',
  about: 'The address is looked at when the slot is made and never again: the mapping may go, the slot stays.',
  requires: PATTERN,
  async run(t) {
    const file = await PatternFile.create(t);
    const mapping = await file.gmem.map();
    const { gmem, size, vm } = file;
    await vm.setMemoryRegion({ slot: 10, guestPhysAddr: GPA, size, gmem, userspaceAddr: mapping });
    await mapping.close();
    await checkBound(t, vm, gmem, [true, true, true, true], 'after munmap');
    await file.isIntact('after munmap');
    t.succeeds(await deleteSlot(t, vm, 10), 'deleting the slot');
  },
});

export const cases: readonly AnyCase[] = [userAddress, unmappable, unmapLater];
