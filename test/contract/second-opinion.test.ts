/**
 * The addon and ffi-rs have no code in common below the seam. Where both give the same answers to the same calls, a
 * mistake in the addon would have to be one in libc, too.
 */

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KVM_SET_USER_MEMORY_REGION2 } from '../../lib/abi/kvm.ts';
import { ioctls } from '../../lib/abi/table.ts';
import { openBackend } from '../../lib/syscalls/open.ts';
import { missingFor } from './missing.ts';
import { anyCall, FILES, openSide, PAGE, type Side, type TwinCall, twin } from './twin-kernels.ts';

/** GMEM_SEED repeats a run, or makes another. */
const seed = Number(process.env['GMEM_SEED'] ?? 60583808);
const missing = missingFor('native') ?? missingFor('ffi');

describe.skipIf(missing !== undefined)(`native and ffi agree${missing ? `: ${missing}` : ''}`, () => {
  let native: Side;
  let ffi: Side;
  beforeEach(() => {
    native = openSide(openBackend('native'));
    ffi = openSide(openBackend('ffi'));
  });
  afterEach(() => {
    native.close();
    ffi.close();
  });

  const agree = (call: TwinCall): void => expect(outcome(call, native)).toEqual(outcome(call, ffi));

  test('on every request of the table, on every kind of file', () => {
    for (const { ioctl } of ioctls) {
      const arg = ioctl.struct === undefined ? 0 : new Uint8Array(ioctl.struct.size);
      for (const file of FILES) agree(twin.ioctlFd(file, ioctl.request, arg));
    }
  });

  test('on a struct in guest memory, private and shared', () => {
    const struct = KVM_SET_USER_MEMORY_REGION2.struct.encode({ slot: 3, memory_size: PAGE + 1 });
    for (const mapping of ['shared', 'private', 'memfd'] as const) {
      agree(twin.copy('copyIn', mapping, 0, struct));
      agree(({ syscalls, fds, addresses }) => ({
        answer: syscalls.ioctlSync(fds.vm, KVM_SET_USER_MEMORY_REGION2.request, { address: addresses[mapping] }),
        bytes: undefined,
      }));
    }
  });

  test(`on generated sequences of calls (seed ${seed})`, () => {
    const sequences = fc.property(fc.array(anyCall, { minLength: 1, maxLength: 30 }), (calls) => calls.forEach(agree));
    fc.assert(sequences, { seed, numRuns: 150 });
  });
});

/** What a side refuses to hand to the kernel, the other must refuse, too. */
function outcome(call: TwinCall, side: Side): unknown {
  try {
    return call(side);
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}
