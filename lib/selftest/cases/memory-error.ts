/** A page whose memory breaks: who is told, and how it is got rid of. */

import { errno, KVM_MEMORY_EXIT_FLAG_PRIVATE, MADV_POPULATE_READ, PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS_PLAIN } from '../conversion.ts';
import { Scenario } from '../scenario.ts';

const NEEDS = { ...CONVERTS_PLAIN, flags: ['mmap', 'init-shared'], guest: true, mock: true } as const;
const A = 0x41;

const told = defineCase({
  name: 'memory-error-is-told',
  about:
    'A broken page is EHWPOISON with a memory fault for the guest and SIGBUS for the host (EFAULT for copies, EHWPOISON ' +
    'for populating); its neighbours notice nothing (__kvm_gmem_get_pfn(), kvm_gmem_fault_shared()).',
  requires: NEEDS,
  async run(t) {
    const s = await Scenario.create(t, { pages: 3, type: 'sw-protected' });
    for (const page of [0, 1, 2]) await s.isShared(page, 0, A, A + page);
    t.mock.poison(s.gmem.fd, PAGE_SIZE);
    const read = await s.guest.read(s.gpa(1), 1);
    const exit = { reason: 'memory-fault', errno: -errno.EHWPOISON, flags: 0n, gpa: s.gpa(1), size: BigInt(PAGE_SIZE) };
    t.equal<unknown>(read, { ok: false, exit }, 'the guest reads the broken page');
    await s.hostIsRefused(1);
    const { syscalls } = t.host.raw;
    const populated = await syscalls.madvise(s.mapping.address + BigInt(PAGE_SIZE), PAGE_SIZE, MADV_POPULATE_READ);
    t.equal(populated, -errno.EHWPOISON, 'populating the broken page');
    for (const page of [0, 2]) await s.isShared(page, A + page, A, A);
  },
});

const converted = defineCase({
  name: 'memory-error-and-conversion',
  about:
    'A broken page keeps a reference, so that it cannot be made private; a hole drops it, and the page that comes in its ' +
    'place is like any other (memory_failure(), MF_DELAYED).',
  requires: NEEDS,
  async run(t) {
    const s = await Scenario.create(t, { pages: 3, type: 'sw-protected' });
    for (const page of [0, 1, 2]) await s.hostUses(page, 0, A);
    t.mock.poison(s.gmem.fd, PAGE_SIZE);
    await s.convertIsBlocked(1);
    await s.turnsPrivate(0, A, A);
    await s.punch(1, 1);
    await s.hostUses(1, 0, A);
    await s.turnsPrivate(1, A, A);
    await s.isPrivate(0, A, A);
  },
});

const privatePage = defineCase({
  name: 'memory-error-of-a-private-page',
  about:
    'A broken page that only the guest has is taken from it, and no other page is: EHWPOISON with a memory fault that ' +
    'says private (kvm_gmem_error_folio()).',
  requires: NEEDS,
  async run(t) {
    const s = await Scenario.create(t, { pages: 3, type: 'sw-protected' });
    await s.convert('private');
    for (const page of [0, 1, 2]) await s.guestUses(page, 0, A);
    t.mock.journal.clear();
    t.mock.poison(s.gmem.fd, PAGE_SIZE);
    const gfn = Number(s.gpa(1)) / PAGE_SIZE;
    const taken = t.mock.journal.entries.filter(({ step }) => step.startsWith('unmap'));
    t.equal(
      taken.map(({ step, start, end }) => [step, start, end]),
      [
        ['unmap-host', 1, 2],
        ['unmap-stage2', gfn, gfn + 1],
      ],
      'what is unmapped',
    );
    const read = await s.guest.read(s.gpa(1), 1);
    const flags = KVM_MEMORY_EXIT_FLAG_PRIVATE;
    const exit = { reason: 'memory-fault', errno: -errno.EHWPOISON, flags, gpa: s.gpa(1), size: BigInt(PAGE_SIZE) };
    t.equal<unknown>(read, { ok: false, exit }, 'the guest reads the broken page');
    for (const page of [0, 2]) await s.guestUses(page, A, A);
  },
});

export const cases: readonly AnyCase[] = [told, converted, privatePage];
