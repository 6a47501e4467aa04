/** KVM_CREATE_GUEST_MEMFD: which sizes it takes, what it reads, and what it makes. Flags are in `flags.ts`. */

import { KVM_CREATE_GUEST_MEMFD, PAGE_SIZE, PROT_NONE, PROT_READ } from '../../abi/index.ts';
import { create, memfd, mmap } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { createFlags } from '../facts.ts';

const PAGE = BigInt(PAGE_SIZE);
const TOP = 1n << 63n;
const ALL_ONES = 2n * TOP - 1n;

const badSize = defineCase<bigint>({
  name: 'create-invalid-size',
  about:
    'A size that is not positive as a signed number, or not a multiple of the page size, is EINVAL ' +
    '(kvm_gmem_create()), whatever the flags.',
  variants: {
    zero: 0n,
    'one-byte': 1n,
    'half-a-page': PAGE / 2n,
    'a-page-less-one': PAGE - 1n,
    'a-page-and-one': PAGE + 1n,
    'a-page-and-a-half': PAGE + PAGE / 2n,
    'bit-63': TOP,
    'bit-63-and-a-page': TOP + PAGE,
    'last-page-of-64-bits': 2n * TOP - PAGE,
    'all-ones': ALL_ONES,
  },
  async run(t, size) {
    const vm = await t.vm();
    const all = createFlags(t.features, vm.type);
    for (const flags of new Set([0n, all])) {
      const attempt = await create(t, vm, { size, flags });
      t.fails(attempt, 'EINVAL', `creating ${size} bytes with flags ${flags}`);
    }
    t.succeeds(await create(t, vm, { size: PAGE }), 'creating one page after that');
  },
});

const goodSize = defineCase<bigint>({
  name: 'create-size',
  about: 'Every other size is the size of the file, up to the last page below 2^63 (kvm_gmem_create()).',
  variants: { 'one-page': PAGE, 'three-pages': 3n * PAGE, '2-MiB': 1n << 21n, '1-TiB': 1n << 40n, most: TOP - PAGE },
  async run(t, size) {
    const gmem = await t.gmem(await t.vm(), { size });
    const stat = await gmem.stat();
    t.equal(stat.size, size, 'st_size');
    t.equal(stat.blocks, 0n, 'st_blocks of a file that nobody has touched');
  },
});

const reserved = defineCase({
  name: 'create-ignores-reserved-words',
  about:
    'The reserved words are not looked at, and the struct is never written back (kvm_vm_ioctl(), kvm_gmem_create()).',
  async run(t) {
    const vm = await t.vm();
    for (const [size, fails] of [
      [PAGE, false],
      [1n, true],
    ] as const) {
      const bytes = KVM_CREATE_GUEST_MEMFD.struct.encode({ size, reserved: Array(6).fill(ALL_ONES) });
      const before = bytes.slice();
      const attempt = await create(t, vm, bytes);
      if (fails) t.fails(attempt, 'EINVAL', `creating ${size} bytes`);
      else t.succeeds(attempt, `creating ${size} bytes`);
      t.equal(bytes, before, `the struct after creating ${size} bytes`);
    }
  },
});

const structAddress = defineCase({
  name: 'create-struct-in-memory',
  about:
    'The struct is copied in once: EFAULT where any of its bytes cannot be read, and no need that it can be written ' +
    '(kvm_vm_ioctl(), KVM_CREATE_GUEST_MEMFD).',
  async run(t) {
    const vm = await t.vm();
    const bytes = KVM_CREATE_GUEST_MEMFD.struct.encode({ size: 2n * PAGE });
    const contents = new Uint8Array(PAGE_SIZE);
    contents.set(bytes, 0);
    contents.set(bytes.subarray(0, 32), PAGE_SIZE - 32);
    const file = await memfd(t, PAGE_SIZE, contents);
    const readable = t.succeeds(await mmap(t, file, { length: 2 * PAGE_SIZE, prot: PROT_READ }), 'mapping the struct');
    const made = t.succeeds(await create(t, vm, { address: readable }), 'creating from read-only memory');
    const stat = await t.host.raw.syscalls.fstat(made.ret);
    t.equal(typeof stat === 'object' && stat.size, 2n * PAGE, 'st_size of the file made from it');

    const across = { address: readable + PAGE - 32n };
    t.fails(await create(t, vm, across), 'EFAULT', 'creating from a struct that ends past the end of a file');
    const hidden = t.succeeds(await mmap(t, file, { length: PAGE_SIZE, prot: PROT_NONE }), 'mapping it PROT_NONE');
    t.fails(await create(t, vm, { address: hidden }), 'EFAULT', 'creating from memory that cannot be read');
    const nowhere = await t.host.raw.tryIoctl(vm, KVM_CREATE_GUEST_MEMFD.request, 0);
    t.fails(nowhere, 'EFAULT', 'creating from a null pointer');
  },
});

const multiple = defineCase({
  name: 'create_guest_memfd_multiple',
  about:
    'Each guest_memfd is a file of its own, with its own size, inode and contents ' +
    '(guest_memfd_test, test_create_guest_memfd_multiple; RFC v2 patch 42).',
  requires: { flags: ['init-shared'] },
  async run(t) {
    const vm = await t.vm();
    const files = [];
    for (const pages of [1, 2, 1]) {
      const gmem = await t.gmem(vm, { size: pages * PAGE_SIZE, mmap: true, initially: 'shared' });
      const mapping = await gmem.map();
      t.defer(() => mapping.close());
      await mapping.fill(0, PAGE_SIZE, 0x30 + files.length);
      files.push({ gmem, mapping, pages });
    }
    const inodes = new Set<bigint>();
    for (const [i, { gmem, mapping, pages }] of files.entries()) {
      const stat = await gmem.stat();
      t.equal(stat.size, BigInt(pages * PAGE_SIZE), `st_size of file ${i} after the others were made`);
      t.equal(await mapping.read(0, PAGE_SIZE), new Uint8Array(PAGE_SIZE).fill(0x30 + i), `contents of file ${i}`);
      inodes.add(stat.ino);
    }
    t.equal(inodes.size, files.length, 'how many different inode numbers there are');
  },
});

const fdLimit = defineCase({
  name: 'create-without-free-descriptors',
  about:
    'Flags and size are checked before a descriptor is looked for: EINVAL comes before EMFILE ' +
    '(kvm_gmem_create(), __kvm_gmem_create()).',
  // On a real kernel this process itself could not go on without descriptors.
  requires: { faults: true },
  async run(t) {
    const vm = await t.vm();
    const { syscalls } = t.host.raw;
    const copies: number[] = [];
    t.defer(() => Promise.all(copies.map((fd) => syscalls.close(fd))));
    for (let fd = await syscalls.dup(vm.fd); fd >= 0; fd = await syscalls.dup(vm.fd)) copies.push(fd);
    t.fails(await create(t, vm, { size: 1n }), 'EINVAL', 'creating one byte without a free descriptor');
    t.fails(await create(t, vm, { size: PAGE, flags: TOP }), 'EINVAL', 'an unknown flag without a free descriptor');
    t.fails(await create(t, vm, { size: PAGE }), 'EMFILE', 'creating a page without a free descriptor');
    await syscalls.close(copies.pop()!);
    t.succeeds(await create(t, vm, { size: PAGE }), 'creating a page with one free descriptor');
  },
});

const noMemory = defineCase({
  name: 'create-without-memory',
  about: 'Where no inode can be had the answer is ENOMEM, no descriptor is used up, and the next attempt succeeds.',
  requires: { faults: true },
  async run(t) {
    const vm = await t.vm();
    const before = t.mock.openFds;
    t.mock.faults.failAllocation(1, 'inode');
    t.fails(await create(t, vm, { size: PAGE }), 'ENOMEM', 'creating without memory');
    t.equal(t.mock.openFds, before, 'descriptors open after that');
    t.succeeds(await create(t, vm, { size: PAGE }), 'creating again');
  },
});

export const cases: readonly AnyCase[] = [badSize, goodSize, reserved, structAddress, multiple, fdLimit, noMemory];
