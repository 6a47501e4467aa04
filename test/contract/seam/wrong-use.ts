/** Any value in any place of any call: an error with a code and no system call, or the kernel's answer. */

import { expect, test } from 'vitest';
import { KVM_CHECK_EXTENSION, KVM_CREATE_GUEST_MEMFD } from '../../../lib/abi/kvm.ts';
import { MADV_DONTNEED, MAP_SHARED, PROT_READ } from '../../../lib/abi/linux.ts';
import { CALL_NAMES, type CallName, type Calls } from '../../../lib/syscalls/seam.ts';
import { createKit, type Form, type Kit, type MakeSyscalls, NO_SUCH_FD, PAGE } from './kit.ts';

const struct = () => new Uint8Array(KVM_CREATE_GUEST_MEMFD.struct.size);
const bytes = () => new Uint8Array(8);
const CREATE = KVM_CREATE_GUEST_MEMFD.request;

/** Arguments that reach the kernel and do nothing there. */
const HARMLESS: { [Name in CallName]: (address: bigint) => Parameters<Calls[Name]> } = {
  ioctl: () => [NO_SUCH_FD, CREATE, struct(), []],
  ioctlFd: () => [NO_SUCH_FD, CREATE, struct(), []],
  ioctlMany: () => [NO_SUCH_FD, KVM_CHECK_EXTENSION.request, new BigUint64Array(1)],
  open: () => ['/dev/no-such-device', 0],
  close: () => [NO_SUCH_FD],
  dup: () => [NO_SUCH_FD],
  memfdCreate: () => ['contract', 0x7fff_ffff],
  eventfd: () => [0, 0x7fff_ffff],
  fstat: () => [NO_SUCH_FD],
  ftruncate: () => [NO_SUCH_FD, 0n],
  fallocate: () => [NO_SUCH_FD, 0, 0n, 1n],
  read: () => [NO_SUCH_FD, bytes()],
  write: () => [NO_SUCH_FD, bytes()],
  pread: () => [NO_SUCH_FD, bytes(), 0n],
  pwrite: () => [NO_SUCH_FD, bytes(), 0n],
  mmap: () => [PAGE, PROT_READ, MAP_SHARED, NO_SUCH_FD, 0n],
  munmap: (address) => [address + 1n, PAGE],
  madvise: (address) => [address, 0, MADV_DONTNEED],
  copyIn: (address) => [address, new Uint8Array(0)],
  copyOut: (address) => [address, new Uint8Array(0)],
};

function detached(): Uint8Array {
  const gone = new Uint8Array(64);
  structuredClone(gone, { transfer: [gone.buffer] });
  return gone;
}

/** Of no use anywhere. */
const GARBAGE: readonly unknown[] = [
  null,
  true,
  'text\0',
  Symbol('garbage'),
  {},
  () => {},
  [null],
  Number.NaN,
  -2,
  1.5,
  2 ** 60,
  Number.POSITIVE_INFINITY,
  -(2n ** 64n),
  2n ** 64n,
  new ArrayBuffer(64),
  new DataView(new ArrayBuffer(64)),
  new Int8Array(64),
  detached(),
  { address: 5 },
  { address: 5n },
  Object.create(Uint8Array.prototype),
  new Proxy(new Uint8Array(64), {}),
  [{ at: 0 }],
  [{ at: '0', to: new Uint8Array(8) }],
  [{ at: 60, to: new Uint8Array(8) }],
];

/** Where a garbage number is one like any other: a signed offset or length. */
const SIGNED: Partial<Record<CallName, readonly number[]>> = {
  ftruncate: [1],
  fallocate: [2, 3],
  pread: [2],
  pwrite: [2],
  mmap: [4],
};

export function wrongUse(make: MakeSyscalls, form: Form): void {
  test.each(CALL_NAMES)('%s refuses garbage in every place', async (name) => {
    const kit = createKit(make, form);
    const address = await kit.map(await kit.memfd(PAGE), PAGE);
    const places = HARMLESS[name](address).length;
    for (let place = 0; place < places; place++) {
      for (const garbage of GARBAGE) {
        if (SIGNED[name]?.includes(place) && garbage === -2) continue;
        const args: unknown[] = HARMLESS[name](address);
        args[place] = garbage;
        const error = await failure(kit, name, args);
        const what = `${name}, argument ${place + 1}: ${typeof garbage} ${describeShort(garbage)}`;
        expect(error, what).toSatisfy((thrown) => thrown instanceof TypeError || thrown instanceof RangeError);
      }
    }
  });
}

async function failure({ calls }: Kit, name: CallName, args: readonly unknown[]): Promise<unknown> {
  try {
    return await (calls[name] as (...given: readonly unknown[]) => Promise<unknown>)(...args);
  } catch (error) {
    return error;
  }
}

function describeShort(value: unknown): string {
  return typeof value === 'object' ? Object.prototype.toString.call(value) : String(value);
}
