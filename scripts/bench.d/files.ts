/** What the operations of one caller work on: its own VM and files, since a VM answers only the process that made it. */

import type { Calls } from './calls.ts';
import { loadAbi } from './dist.ts';
import type { Work } from './work.ts';

export interface Files {
  readonly kvm: number;
  readonly vm: number;
  /** Has no pages, for punching holes. */
  readonly empty: number;
  /** What a conversion goes to. */
  readonly converted: number;
}

export type Check = (answer: number) => number;

/** Makes an exception of a failed call. */
export async function checking(calls: Calls): Promise<Check> {
  const { errnoName } = await loadAbi();
  return (answer) => {
    if (answer < 0) throw new Error(errnoName(calls.errnoOf(answer)) ?? `answer ${answer}`);
    return answer;
  };
}

export async function openFiles(calls: Calls, check: Check, work: Work): Promise<Files> {
  const { O_RDWR, O_CLOEXEC } = await loadAbi();
  const struct = Uint8Array.from(work.create.struct);
  const kvm = check(calls.open('/dev/kvm', O_RDWR | O_CLOEXEC));
  const vm = check(calls.ioctlValue(kvm, work.createVm.request, work.createVm.type));
  const empty = check(calls.ioctlFd(vm, work.create.request, struct));
  if (work.convert === undefined) return { kvm, vm, empty, converted: -1 };
  if (work.convert.on === 'vm') return { kvm, vm, empty, converted: vm };
  const converted = check(calls.ioctlFd(vm, work.create.request, struct));
  const { mode, length } = work.convert.allocate;
  check(calls.fallocate(converted, mode, 0n, BigInt(length)));
  return { kvm, vm, empty, converted };
}
