/** Pointer fix-ups: for the length of a call a buffer of the caller's has an address in the mock process. */

import type { Pointer } from '../../syscalls/seam.ts';
import type { AddressSpace } from './address-space.ts';

/** Patches the pointers in, makes the call, and puts back what stood there: no one outside sees an address. */
export function withPointers<T>(
  { addressSpace }: { readonly addressSpace: AddressSpace },
  arg: unknown,
  pointers: readonly Pointer[],
  call: () => T,
): T {
  if (pointers.length === 0 || !(arg instanceof Uint8Array)) return call();
  const view = new DataView(arg.buffer, arg.byteOffset, arg.byteLength);
  const before = pointers.map(({ at }) => view.getBigUint64(at, true));
  const addresses = pointers.map(({ to }) => addressSpace.lend(to));
  for (const [i, { at }] of pointers.entries()) view.setBigUint64(at, addresses[i]!, true);
  try {
    return call();
  } finally {
    for (const [i, { at }] of pointers.entries()) view.setBigUint64(at, before[i]!, true);
    for (const address of addresses) addressSpace.takeBack(address);
  }
}
