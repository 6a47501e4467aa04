/** Where in kvm_run the answer to an exit stands, and what it looks like there. */

import { checkBigint, checkBytes, I64_MIN, outOfRange, U64_MAX, wrongValue } from '../abi/invalid.ts';
import { exitData, KVM_RUN_EXIT } from '../abi/vcpu.ts';
import type { VcpuExit } from './exits.ts';

export interface Response {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** `last` is the exit that kvm_run tells of now: an answer to another would land in the wrong place. */
export function checkResponse(exit: VcpuExit, answer: unknown, last: VcpuExit | undefined): Response {
  if (exit === undefined || exit !== last) throw wrongValue('exit', 'the last one of this vCPU', exit);
  switch (exit.reason) {
    case 'io':
      if (exit.write) break;
      return { at: exit.dataOffset, bytes: exactly(exit.size * exit.count, answer) };
    case 'mmio':
      if (exit.write) break;
      return { at: fieldAt(exitData.mmio, 'data'), bytes: exactly(exit.data.length, answer) };
    case 'hypercall':
      return { at: fieldAt(exitData.hypercall, 'ret'), bytes: word(checkBigint('returns', answer, I64_MIN, U64_MAX)) };
  }
  throw wrongValue('exit', 'one that waits for an answer: an io or mmio read, or a hypercall', exit);
}

function exactly(length: number, answer: unknown): Uint8Array {
  const bytes = checkBytes('bytes', answer);
  if (bytes.byteLength !== length) throw outOfRange('bytes.length', `${length}, as the exit wants`, bytes.byteLength);
  return bytes;
}

function word(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return bytes;
}

function fieldAt(
  type: { readonly fields: readonly { readonly name: string; readonly offset: number }[] },
  name: string,
) {
  return KVM_RUN_EXIT + type.fields.find((field) => field.name === name)!.offset;
}
