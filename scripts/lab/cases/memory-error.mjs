#!/usr/bin/env node
/**
 * A page that the kernel takes for broken, which costs a real machine that page until it boots again: the lab's own case.
 * Others tell a mock to break one.
 */

import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { errno, PAGE_SIZE } from 'guest-memfd/abi';
import { selftest } from 'guest-memfd/selftest';

/** Unlike MADV_HWPOISON it does not signal whoever asks (mm/hwpoison-inject.c). */
const CORRUPT = '/sys/kernel/debug/hwpoison/corrupt-pfn';
const GPA = 0x1_0000_0000n;

/**
 * The page frame behind an address that is mapped (Documentation/admin-guide/mm/pagemap.rst: bits 0 to 54 of 64).
 * @param {bigint} address
 */
function pfnOf(address) {
  const entry = Buffer.alloc(8);
  const pagemap = openSync('/proc/self/pagemap', 'r');
  try {
    readSync(pagemap, entry, 0, 8, (address / BigInt(PAGE_SIZE)) * 8n);
  } finally {
    closeSync(pagemap);
  }
  return BigInt.asUintN(55, entry.readBigUInt64LE(0));
}

await selftest([
  {
    name: 'vcpu_exit_memory_error',
    about:
      'A broken page is EHWPOISON with a memory fault for the guest and EFAULT for copies of the host; its neighbours ' +
      'notice nothing, and a page that comes in its place is like any other (kvm_gmem_error_folio()).',
    requires: { guest: true, flags: ['mmap', 'init-shared'] },
    async run(t) {
      const vm = await t.vm();
      const gmem = await t.gmem(vm, { size: 3 * PAGE_SIZE, mmap: true, initially: 'shared' });
      const mapping = await t.map(gmem);
      await vm.setMemoryRegion({
        slot: 0,
        guestPhysAddr: GPA,
        size: 3 * PAGE_SIZE,
        gmem,
        userspaceAddr: mapping.address,
      });
      await mapping.write(0, new Uint8Array(3 * PAGE_SIZE).fill(0x41));
      const guest = t.guest(vm);
      const { syscalls } = t.host.raw;
      try {
        writeFileSync(CORRUPT, `${pfnOf(mapping.address + BigInt(PAGE_SIZE))}`);
      } catch (error) {
        const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
        // A guest_memfd keeps the page in its place, which memory_failure() reports as a failure to get rid of it.
        if (code !== 'EBUSY') t.skip(`needs root and CONFIG_HWPOISON_INJECT=y: ${message}`);
      }

      const exit = {
        reason: 'memory-fault',
        errno: -errno.EHWPOISON,
        flags: 0n,
        gpa: GPA + BigInt(PAGE_SIZE),
        size: BigInt(PAGE_SIZE),
      };
      t.equal(await guest.read(GPA + BigInt(PAGE_SIZE), 1), { ok: false, exit }, 'the guest reads the broken page');
      // The RFC keeps folios off the LRU, and memory_failure() leaves those where they are mapped.
      if (t.features.dialect !== 'rfc-convert') {
        const copied = await syscalls.copyOut(mapping.address + BigInt(PAGE_SIZE), new Uint8Array(1));
        t.equal(copied, -errno.EFAULT, 'the host reads the broken page');
      }
      for (const page of [0, 2]) {
        const read = await guest.read(GPA + BigInt(page * PAGE_SIZE), 1);
        t.equal(read, { ok: true, bytes: Uint8Array.of(0x41) }, `the guest reads page ${page}`);
        t.equal(await mapping.read(page * PAGE_SIZE, 1), Uint8Array.of(0x41), `the host reads page ${page}`);
      }

      await gmem.punchHole({ offset: PAGE_SIZE, size: PAGE_SIZE });
      t.equal(
        await guest.read(GPA + BigInt(PAGE_SIZE), 1),
        { ok: true, bytes: Uint8Array.of(0) },
        'the page in its place',
      );
    },
  },
]);
