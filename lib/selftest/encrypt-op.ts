/** KVM_MEMORY_ENCRYPT_OP below the typed API: one command with any values, its struct wherever a case wants it. */

import {
  type AnyCommand,
  type ErrnoName,
  KVM_MEMORY_ENCRYPT_OP,
  kvm_tdx_cmd,
  O_CLOEXEC,
  O_RDWR,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
  SEV_PATH,
  type StructCommand,
} from '../abi/index.ts';
import type { FdLike, IoctlOutcome } from '../host/index.ts';
import { anonymous, answered, endOfMemory } from './bare.ts';
import type { T } from './context.ts';

/**
 * Where the kernel finds a command's struct: with room behind it (`anywhere`), or at the end of memory, which can be
 * written (`writable-end`) or only read (`read-only`), or which lacks its last byte (`cut-off`).
 */
export type Place = 'anywhere' | 'writable-end' | 'read-only' | 'cut-off';

export interface Arguments {
  /** Fields of the command's struct, or its bytes with what follows them. */
  readonly values?: Readonly<Record<string, unknown>> | Uint8Array;
  readonly place?: Place;
}

export interface SevArguments extends Arguments {
  /** In place of /dev/sev. */
  readonly fd?: number;
  /** What stands in `error` before. */
  readonly error?: number;
}

export interface TdxArguments extends Arguments {
  readonly flags?: number;
  readonly hwError?: bigint;
}

/** A command of SEV that is refused. */
export interface SevRefusal {
  readonly command: AnyCommand;
  readonly place?: Place;
  readonly fd?: number;
  readonly code: ErrnoName;
  /** What is in `error` afterwards; by default what was there before. */
  readonly firmware?: number;
}

/** What stands in `error` where no command of the firmware's has put something else there. */
export const UNTOUCHED = 0x5555;

/** One that no kernel has. */
export const UNKNOWN_COMMAND: AnyCommand = { on: 'vm', name: 'unknown', id: 0x7fff };

/** More than the largest struct with 257 CPUID entries behind it. */
const ROOM = 4 * PAGE_SIZE;

export class EncryptOp {
  readonly #t: T;
  readonly #address: bigint;
  #sevFd: number | undefined;

  private constructor(t: T, address: bigint) {
    this.#t = t;
    this.#address = address;
  }

  static async create(t: T): Promise<EncryptOp> {
    return new EncryptOp(t, await anonymous(t, ROOM));
  }

  /** One of SEV's, on a VM. What is left in `error` is in `outcome.out`. */
  async sev(vm: FdLike, { id, struct }: AnyCommand, { fd, error = 0, ...rest }: SevArguments = {}) {
    const data = await this.#put(struct, rest);
    const sev_fd = fd ?? (await this.sevFd());
    return await this.#t.host.raw.tryIoctl(vm, KVM_MEMORY_ENCRYPT_OP, { id, data, error, sev_fd });
  }

  async isRefused(vm: FdLike, { command, place, fd, code, firmware = UNTOUCHED }: SevRefusal, values: object) {
    const args = { values: { ...values }, ...(place && { place }), ...(fd !== undefined && { fd }) };
    const outcome = await this.sev(vm, command, { ...args, error: UNTOUCHED });
    this.#t.fails(outcome, code, command.name);
    this.#t.equal(outcome.out.error, firmware, 'what is in its error');
  }

  /** One of TDX's, on a VM or a vCPU. */
  async tdx(
    on: FdLike,
    { id, struct }: AnyCommand,
    { flags = 0, hwError = 0n, ...rest }: TdxArguments = {},
  ): Promise<IoctlOutcome<ReturnType<typeof kvm_tdx_cmd.decode>>> {
    const data = await this.#put(struct, rest);
    const bytes = kvm_tdx_cmd.encode({ id, flags, data, hw_error: hwError });
    const outcome = await this.#t.host.raw.tryIoctl(on, KVM_MEMORY_ENCRYPT_OP, bytes);
    return { ...outcome, out: kvm_tdx_cmd.decode(bytes) };
  }

  /** /dev/sev, closed at the end. */
  async sevFd(): Promise<number> {
    if (this.#sevFd !== undefined) return this.#sevFd;
    const { syscalls } = this.#t.host.raw;
    const fd = this.#t.succeeds(answered(await syscalls.open(SEV_PATH, O_RDWR | O_CLOEXEC)), 'opening /dev/sev');
    this.#t.defer(() => this.closeSevFd());
    this.#sevFd = fd;
    return fd;
  }

  async closeSevFd(): Promise<void> {
    if (this.#sevFd !== undefined) await this.#t.host.raw.syscalls.close(this.#sevFd);
    this.#sevFd = undefined;
  }

  /** What the last command left in its struct, where that can be written. */
  async left<C extends StructCommand>({ struct }: C): Promise<ReturnType<C['struct']['decode']>> {
    const bytes = new Uint8Array(struct.size);
    await this.#t.host.raw.syscalls.copyOut(this.#address, bytes);
    return struct.decode(bytes) as ReturnType<C['struct']['decode']>;
  }

  async #put(struct: AnyCommand['struct'], { values = {}, place = 'anywhere' }: Arguments): Promise<bigint> {
    if (!struct) return 0n;
    const bytes = values instanceof Uint8Array ? values : struct.encode(values);
    if (place === 'read-only') return await endOfMemory(this.#t, bytes);
    if (place === 'cut-off') return await endOfMemory(this.#t, bytes.subarray(0, -1));
    if (place === 'writable-end') return await endOfMemory(this.#t, bytes, PROT_READ | PROT_WRITE);
    await this.#t.host.raw.syscalls.copyIn(this.#address, bytes);
    return this.#address;
  }
}
