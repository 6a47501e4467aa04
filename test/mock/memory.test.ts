/** Memory is counted, limited, and given back. */

import { expect, test } from 'vitest';
import { errno, MAP_ANONYMOUS, MAP_PRIVATE } from '../../lib/abi/index.ts';
import { createMock } from '../../lib/mock/index.ts';
import { boot, GPA, PAGE } from './machine.ts';

test('every page comes back once all fds, mappings and pins are gone', () => {
  const { syscalls, controls, convert, guest, address, kvm, vm, gmem } = boot({ kernel: 'rfc-v2' });
  syscalls.copyInSync(address, new Uint8Array(4 * PAGE).fill(1));
  const pin = controls.pin(gmem, 0, PAGE);
  expect(convert(1, 2, 'private')).toBe(0);
  guest.write(GPA + BigInt(PAGE), Uint8Array.of(9));
  expect(controls.pagesInUse).toBe(4);
  for (const fd of [kvm, vm, gmem]) expect(syscalls.closeSync(fd)).toBe(0);
  expect(controls.pagesInUse).toBe(4);
  expect(syscalls.munmapSync(address, 4 * PAGE)).toBe(0);
  expect(controls.pagesInUse).toBe(1);
  expect(pin.read()[0]).toBe(1);
  pin.release();
  pin.release();
  expect([controls.pagesInUse, controls.openFds]).toEqual([0, 0]);
});

test('a terabyte costs nothing until touched', () => {
  const { controls, convert } = boot({ kernel: 'rfc-v2', pages: 2 ** 28 });
  expect(convert(0, 2 ** 28, 'private')).toBe(0);
  expect(controls.pagesInUse).toBe(0);
});

test('the host runs out of memory where it says', () => {
  const { syscalls, gmem, punch } = boot({ kernel: 'rfc-v2', memory: 2 * PAGE });
  expect(syscalls.fallocateSync(gmem, 1, 0n, BigInt(4 * PAGE))).toBe(-errno.ENOMEM);
  expect(punch(0, 1)).toBe(0);
  expect(syscalls.fallocateSync(gmem, 1, BigInt(2 * PAGE), BigInt(PAGE))).toBe(0);
});

test('anonymous memory is given back by munmap, and copied by fork', () => {
  const { syscalls, controls } = createMock();
  const address = syscalls.mmapSync(2 * PAGE, 3, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0n);
  syscalls.copyInSync(address, Uint8Array.of(1));
  const child = controls.fork();
  expect(child.write(address, Uint8Array.of(2))).toBe(1);
  const mine = new Uint8Array(1);
  syscalls.copyOutSync(address, mine);
  expect([mine[0], controls.pagesInUse]).toEqual([1, 2]);
  child.exit();
  syscalls.munmapSync(address, 2 * PAGE);
  expect(controls.pagesInUse).toBe(0);
});

test('fds end at RLIMIT_NOFILE, and a refused one costs nothing', () => {
  const { syscalls, controls, vm } = boot({ kernel: 'rfc-v2' });
  while (syscalls.dupSync(vm) > 0);
  expect(syscalls.dupSync(vm)).toBe(-errno.EMFILE);
  expect(controls.openFds).toBe(1021);
});
