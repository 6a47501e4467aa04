/**
 * The operations by synchronous calls. Each loop is written out: one shared loop that is handed the call would add the
 * price of calling a function that is not known, which no program written for one purpose pays.
 */

import type { Calls } from './calls.ts';
import type { Check, Files } from './files.ts';
import type { OperationName } from './operations.ts';
import type { Work } from './work.ts';

/** Makes `count` calls. */
export type Loop = (count: number) => void | Promise<void>;
export type Loops = Partial<Record<OperationName, Loop>>;

export function syncLoops(calls: Calls, check: Check, files: Files, work: Work): Loops {
  const { ioctlMany } = calls;
  return {
    'check-extension': checkExtension(calls, check, files, work),
    'create-close': createClose(calls, check, files, work),
    'punch-hole': punchHole(calls, check, files, work),
    ...(ioctlMany && { 'check-extension-many': checkExtensionMany(ioctlMany, check, files, work) }),
    ...(work.convert && { 'convert-2mib': convert(calls, check, files, work.convert) }),
  };
}

function checkExtension({ ioctlValue }: Calls, check: Check, { kvm }: Files, work: Work): Loop {
  const { request, value } = work.check;
  return (count) => {
    for (let i = 0; i < count; i++) check(ioctlValue(kvm, request, value));
  };
}

function createClose({ ioctlFd, close }: Calls, check: Check, { vm }: Files, work: Work): Loop {
  const { request } = work.create;
  const struct = Uint8Array.from(work.create.struct);
  return (count) => {
    for (let i = 0; i < count; i++) check(close(check(ioctlFd(vm, request, struct))));
  };
}

function punchHole({ fallocate }: Calls, check: Check, { empty }: Files, work: Work): Loop {
  const { mode } = work.punch;
  const length = BigInt(work.punch.length);
  return (count) => {
    for (let i = 0; i < count; i++) check(fallocate(empty, mode, 0n, length));
  };
}

function checkExtensionMany(
  ioctlMany: NonNullable<Calls['ioctlMany']>,
  check: Check,
  { kvm }: Files,
  work: Work,
): Loop {
  const { request, value } = work.check;
  const values = new BigUint64Array(work.batch).fill(BigInt(value));
  return (count) => {
    for (let done = 0; done < count; done += work.batch) {
      check(ioctlMany(kvm, request, count - done < work.batch ? values.subarray(0, count - done) : values).result);
    }
  };
}

function convert(
  { ioctlStruct }: Calls,
  check: Check,
  { converted }: Files,
  { steps }: NonNullable<Work['convert']>,
): Loop {
  const calls = steps.map(({ request, struct }) => ({ request, struct: Uint8Array.from(struct) }));
  let turn = 0;
  return (count) => {
    for (let i = 0; i < count; i++) {
      const { request, struct } = calls[turn++ % calls.length]!;
      check(ioctlStruct(converted, request, struct));
    }
  };
}
