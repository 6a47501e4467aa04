/** Sentences about what a guest finds at a guest-physical address, or which exit it causes. */

import { errno, PAGE_SIZE } from '../abi/index.ts';
import type { Vm } from '../kvm/index.ts';
import type { T } from './context.ts';
import type { GuestExit } from './guest.ts';
import { show } from './show.ts';

export class GuestView {
  readonly #t: T;
  readonly #vm: Vm;

  constructor(t: T, vm: Vm) {
    this.#t = t;
    this.#vm = vm;
  }

  /** The guest reads exactly these bytes. */
  async reads(gpa: bigint, want: Uint8Array, what: string): Promise<void> {
    const read = await this.#t.guest(this.#vm).read(gpa, want.length);
    const where = `${what}: the guest reads at 0x${gpa.toString(16)}`;
    if (!read.ok) this.#t.fail(where, ['wanted bytes, got an exit', show(read.exit)]);
    else this.#t.equal(read.bytes, want, where);
  }

  async writes(gpa: bigint, bytes: Uint8Array, what: string): Promise<void> {
    const written = await this.#t.guest(this.#vm).write(gpa, bytes);
    this.#t.equal(written, { ok: true }, `${what}: the guest writes at 0x${gpa.toString(16)}`);
  }

  /** Reading, and writing, leave the guest with this exit. */
  async exits(gpa: bigint, exit: (write: boolean) => GuestExit, what: string): Promise<void> {
    const guest = this.#t.guest(this.#vm);
    const where = `at 0x${gpa.toString(16)}`;
    this.#t.equal(await guest.read(gpa, 8), { ok: false, exit: exit(false) }, `${what}: the guest reads ${where}`);
    const written = await guest.write(gpa, new Uint8Array(8).fill(0xbd));
    this.#t.equal(written, { ok: false, exit: exit(true) }, `${what}: the guest writes ${where}`);
  }
}

/** KVM_EXIT_MMIO: no memory there, somebody has to emulate it. The page of `gpa` is named. */
export const mmio =
  (gpa: bigint) =>
  (write: boolean): GuestExit => ({ reason: 'mmio', gpa, write });

/** KVM_RUN answers -1/EFAULT with KVM_EXIT_MEMORY_FAULT; `flags` say whether the access was to private memory. */
export const memoryFault =
  (gpa: bigint, flags = 0n) =>
  (): GuestExit => ({
    reason: 'memory-fault',
    errno: -errno.EFAULT,
    flags,
    gpa,
    size: BigInt(PAGE_SIZE),
  });

/** KVM_RUN answers -1/EFAULT and kvm_run is silent: what the slot shows of this process cannot be touched. */
export const failed = (): GuestExit => ({ reason: 'failed', errno: -errno.EFAULT });
