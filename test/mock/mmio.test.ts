/** What a software-protected guest finds at addresses that were no memory when it first came by. Seen on Linux 7.3.4. */

import { expect, test } from 'vitest';
import {
  KVM_MEMORY_ATTRIBUTE_PRIVATE,
  KVM_SET_MEMORY_ATTRIBUTES,
  KVM_SET_USER_MEMORY_REGION,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
} from '../../lib/abi/index.ts';
import { boot, PAGE } from './machine.ts';

const NOWHERE = 0x1_8000_0000n;

function world() {
  const { syscalls, vm, guest } = boot({ kernel: 'linux-7.3' });
  const ask = (ioctl: typeof KVM_SET_MEMORY_ATTRIBUTES | typeof KVM_SET_USER_MEMORY_REGION, values: object): number =>
    syscalls.ioctlSync(vm, ioctl.request, ioctl.struct.encode(values as never));
  const memory = syscalls.mmapSync(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0n);
  const range = { address: NOWHERE, size: BigInt(PAGE) };
  return {
    hide: () => ask(KVM_SET_MEMORY_ATTRIBUTES, { ...range, attributes: KVM_MEMORY_ATTRIBUTE_PRIVATE }),
    show: () => ask(KVM_SET_MEMORY_ATTRIBUTES, range),
    /** A memslot; of no pages: deletes it. */
    put: (slot: number, gpa: bigint, pages: number) =>
      ask(KVM_SET_USER_MEMORY_REGION, {
        slot,
        guest_phys_addr: gpa,
        memory_size: BigInt(pages * PAGE),
        userspace_addr: memory,
      }),
    read: () => {
      const seen = guest.read(NOWHERE, 1);
      if (seen.ok) return 'memory';
      return seen.exit.reason === 'memory-fault' ? `fault ${seen.exit.flags}` : seen.exit.reason;
    },
  };
}

test('a private page without a memslot is a fault; one known as MMIO stays MMIO', () => {
  const { hide, show, read } = world();
  expect(hide()).toBe(0);
  expect(read()).toBe('fault 8');
  expect(show()).toBe(0);
  expect(read()).toBe('mmio');
  expect(hide()).toBe(0);
  expect(read()).toBe('mmio');
});

test('once a memslot has changed, what was MMIO is asked for as shared, until it is', () => {
  const { hide, show, put, read } = world();
  expect(read()).toBe('mmio');
  expect([put(1, NOWHERE, 1), hide()]).toEqual([0, 0]);
  expect([read(), read()]).toEqual(['fault 0', 'fault 0']);
  expect(show()).toBe(0);
  expect(read()).toBe('memory');
  expect(hide()).toBe(0);
  expect(read()).toBe('fault 8');
});

test('setting a memslot to what it is changes nothing', () => {
  const { hide, put, read } = world();
  expect(put(1, NOWHERE + 0x10_0000n, 1)).toBe(0);
  expect([read(), hide()]).toEqual(['mmio', 0]);
  expect(put(1, NOWHERE + 0x10_0000n, 1)).toBe(0);
  expect(read()).toBe('mmio');
  expect(put(1, NOWHERE + 0x20_0000n, 1)).toBe(0);
  expect(read()).toBe('fault 0');
});
