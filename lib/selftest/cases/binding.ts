/** Which ranges of which file can back a memory region: kvm_gmem_bind(), kvm_gmem_prepare_memory_region(). */

import { type ErrnoName, KVM_MEM_GUEST_MEMFD, PAGE_SIZE } from '../../abi/index.ts';
import type { GuestMemfd, Vm } from '../../kvm/index.ts';
import { eventfd, memfd, NO_FD } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { boundTwice } from '../facts.ts';
import { BAD_FD, checkBound, checkCovered, deleteSlot, type Region, setRegion } from '../region.ts';

const P = BigInt(PAGE_SIZE);
const GPA = 0x20_0000n;
const TOP = 1n << 63n;
const FREE = [false, false, false, false];

/** A slot backed by pages of a file. */
const backed = (
  slot: number,
  fd: number,
  page: number,
  pages: number,
  gpa = GPA + BigInt(slot) * 0x10_0000n,
): Region => ({
  slot,
  flags: KVM_MEM_GUEST_MEMFD,
  guest_phys_addr: gpa,
  memory_size: BigInt(pages) * P,
  guest_memfd: fd,
  guest_memfd_offset: BigInt(page) * P,
});

const gmemOf = (t: T, vm: Vm): Promise<GuestMemfd> => t.gmem(vm, { size: 4n * P });

type WrongFile = (t: T, vm: Vm) => Promise<number>;

const wrongFile = defineCase<{ readonly fd: WrongFile; readonly code: ErrnoName }>({
  name: 'bind-wrong-file',
  about:
    'The descriptor must be open (EBADF), of a guest_memfd, and of one of this VM (EINVAL), whatever the offset ' +
    '(kvm_gmem_bind()).',
  variants: {
    'no-descriptor': { fd: async () => BAD_FD, code: 'EBADF' },
    'descriptor-that-is-not-open': { fd: async () => NO_FD, code: 'EBADF' },
    'closed-guest-memfd': {
      fd: async (t, vm) => {
        const gmem = await gmemOf(t, vm);
        const { fd } = gmem;
        await gmem.close();
        return fd;
      },
      code: 'EBADF',
    },
    'dev-kvm': { fd: async (t) => t.host.fd, code: 'EINVAL' },
    'the-vm': { fd: async (_t, vm) => vm.fd, code: 'EINVAL' },
    memfd: { fd: (t) => memfd(t, 4 * PAGE_SIZE), code: 'EINVAL' },
    eventfd: {
      fd: eventfd,
      code: 'EINVAL',
    },
    'guest-memfd-of-another-vm': { fd: async (t) => (await gmemOf(t, await t.vm())).fd, code: 'EINVAL' },
  },
  async run(t, { fd: open, code }) {
    const vm = await t.vm();
    const fd = await open(t, vm);
    for (const page of [0, 100]) {
      t.fails(await setRegion(t, vm, backed(1, fd, page, 1)), code, `binding page ${page} of it`);
      t.fails(await deleteSlot(t, vm, 1), 'EINVAL', 'deleting the slot that was refused');
    }
    const gmem = await gmemOf(t, vm);
    t.succeeds(await setRegion(t, vm, backed(1, gmem.fd, 0, 4)), 'binding the right one');
  },
});

const wrongRange = defineCase<readonly [offset: bigint, pages: number]>({
  name: 'bind-outside-the-file',
  about: 'A range that does not lie in the file is EINVAL, bound in part or not (kvm_gmem_bind()).',
  variants: {
    'at-the-end': [4n * P, 1],
    'past-the-end': [5n * P, 1],
    'past-the-end-in-part': [3n * P, 2],
    'more-than-the-file': [0n, 5],
    'bit-63': [TOP, 1],
    'last-page-of-64-bits': [2n * TOP - 2n * P, 1],
  },
  async run(t, [offset, pages]) {
    const vm = await t.vm();
    const gmem = await gmemOf(t, vm);
    const region = { ...backed(1, gmem.fd, 0, pages), guest_memfd_offset: offset };
    t.fails(await setRegion(t, vm, region), 'EINVAL', 'binding the range');
    await checkBound(t, vm, gmem, FREE, 'after the refusal');
    t.succeeds(await setRegion(t, vm, backed(2, gmem.fd, 0, 4)), 'binding the whole file');
    t.fails(await setRegion(t, vm, region), 'EINVAL', 'binding the range when the file is bound');
    await checkCovered(t, vm, region.guest_phys_addr as bigint, false, 'after the refusals');
  },
});

const signedSum = defineCase({
  name: 'bind-past-2-63',
  about:
    'A range that begins below 2^63 and ends there is EINVAL like any other past the end; up to Linux 6.18 the sum ' +
    'was signed, came out negative, and the range was bound (kvm_gmem_bind()).',
  requires: { kernel: { since: '7.3' } },
  async run(t) {
    const vm = await t.vm();
    const gmem = await gmemOf(t, vm);
    const region = { ...backed(1, gmem.fd, 0, 1), guest_memfd_offset: TOP - P };
    t.fails(await setRegion(t, vm, region), 'EINVAL', 'binding the last page below 2^63');
    t.fails(await deleteSlot(t, vm, 1), 'EINVAL', 'deleting the slot that was refused');
  },
});

const twice = defineCase<readonly [page: number, pages: number]>({
  name: 'bind-a-page-twice',
  about:
    'No page of a file can be in two slots of a VM: EINVAL up to Linux 6.18 and in RFC v2, EEXIST since 7.3; the ' +
    'first slot stays as it is (kvm_gmem_bind(), kvm_gmem_commit_memory_region()).',
  variants: {
    'the-same': [1, 2],
    'its-first-page': [1, 1],
    'its-last-page': [2, 1],
    'a-page-before-too': [0, 2],
    'a-page-behind-too': [2, 2],
    everything: [0, 4],
  },
  async run(t, [page, pages]) {
    const vm = await t.vm();
    const gmem = await gmemOf(t, vm);
    t.succeeds(await setRegion(t, vm, backed(1, gmem.fd, 1, 2)), 'binding pages 1 and 2');
    const again = await setRegion(t, vm, backed(2, gmem.fd, page, pages));
    t.fails(again, boundTwice(t.features), `binding pages ${page}+${pages}`);
    t.fails(await deleteSlot(t, vm, 2), 'EINVAL', 'deleting the slot that was refused');
    await checkBound(t, vm, gmem, [false, true, true, false], 'after the refusal');
    t.succeeds(await deleteSlot(t, vm, 1), 'deleting the first slot');
    t.succeeds(await setRegion(t, vm, backed(2, gmem.fd, page, pages)), 'binding once it is gone');
  },
});

const overlapFirst = defineCase({
  name: 'bind-overlap-order',
  about:
    'Guest pages that are taken (EEXIST) come before pages of the file that are; since 7.3 so does a guest address ' +
    'out of reach (EINVAL): kvm_set_memory_region(), kvm_set_memslot().',
  async run(t) {
    const vm = await t.vm();
    const gmem = await gmemOf(t, vm);
    t.succeeds(await setRegion(t, vm, backed(1, gmem.fd, 0, 2, GPA)), 'binding pages 0 and 1');
    t.fails(await setRegion(t, vm, backed(2, gmem.fd, 0, 1, GPA)), 'EEXIST', 'both taken');
    t.fails(await setRegion(t, vm, backed(2, gmem.fd, 2, 1, GPA)), 'EEXIST', 'only the guest page taken');
    t.fails(await setRegion(t, vm, backed(2, gmem.fd, 0, 1, 1n << 52n)), 'EINVAL', 'out of reach, and bound');
    await checkBound(t, vm, gmem, [true, true, false, false], 'afterwards');
  },
});

const disjoint = defineCase({
  name: 'bind-disjoint-ranges',
  about: 'Parts of one file can be in any slots, in any order, and each goes by itself (kvm_gmem_bind(), _unbind()).',
  async run(t) {
    const vm = await t.vm();
    const gmem = await gmemOf(t, vm);
    for (const page of [3, 0, 2]) {
      t.succeeds(await setRegion(t, vm, backed(10 - page, gmem.fd, page, 1)), `binding page ${page}`);
    }
    await checkBound(t, vm, gmem, [true, false, true, true], 'with three slots');
    t.succeeds(await deleteSlot(t, vm, 10), 'deleting the slot of page 0');
    await checkBound(t, vm, gmem, [false, false, true, true], 'with two slots');
    t.succeeds(await setRegion(t, vm, backed(1, gmem.fd, 0, 2)), 'binding pages 0 and 1 together');
    await checkBound(t, vm, gmem, [true, true, true, true], 'with all pages bound');
  },
});

const twoFiles = defineCase({
  name: 'bind-several-files',
  about: 'A file’s bindings are its own: another file, and another VM, may have the same offsets (kvm_gmem_bind()).',
  async run(t) {
    const vm = await t.vm();
    const other = await t.vm();
    const files = [await gmemOf(t, vm), await gmemOf(t, vm)];
    for (const [i, { fd }] of files.entries()) t.succeeds(await setRegion(t, vm, backed(i, fd, 0, 4)), `file ${i}`);
    const elsewhere = await gmemOf(t, other);
    t.succeeds(await setRegion(t, other, backed(0, elsewhere.fd, 0, 4)), 'the other VM’s file, same slot and place');
    t.succeeds(await deleteSlot(t, vm, 0), 'deleting one slot');
    await checkBound(t, vm, files[0]!, FREE, 'its file');
    await checkBound(t, vm, files[1]!, [true, true, true, true], 'the other slot’s file');
    await checkBound(t, other, elsewhere, [true, true, true, true], 'the other VM’s file');
  },
});

export const cases: readonly AnyCase[] = [wrongFile, wrongRange, signedSum, twice, overlapFirst, disjoint, twoFiles];
