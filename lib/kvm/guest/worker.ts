/** One vCPU of a guest: carries out one request at a time. */

import { PAGE_SIZE } from '../../abi/linux.ts';
import { KVM_HC_MAP_GPA_RANGE, KVM_MAP_GPA_RANGE_ENCRYPTED } from '../../abi/vcpu.ts';
import type { PageState } from '../../guest-memfd/index.ts';
import type { HypercallExit, VcpuExit } from '../exits.ts';
import type { Vcpu } from '../vcpu.ts';
import type { GuestMemory } from './memory.ts';
import { inWindow, longMode, pageTables, windowEntries, windowOver } from './paging.ts';
import { DONE_PORT, ENTRY } from './program.ts';

/** How far a routine got: `left` bytes were not moved, and `exit` says why. */
export interface Stopped {
  readonly exit: VcpuExit;
  readonly left: number;
}

export type OnHypercall = (exit: HypercallExit) => Promise<number | bigint | undefined>;

/** The registers a routine is called with. */
interface Call {
  readonly rip: bigint;
  readonly rax?: bigint;
  readonly rbx?: bigint;
  readonly rcx?: bigint;
  readonly rdx?: bigint;
  readonly rsi?: bigint;
  readonly rdi?: bigint;
}

/** Bit 1 is always set. */
const RFLAGS = 2n;

export class GuestWorker {
  readonly vcpu: Vcpu;
  readonly #memory: GuestMemory;
  readonly #index: number;
  readonly #base: bigint;
  readonly #onHypercall: OnHypercall | undefined;
  #window: bigint | undefined;

  private constructor(vcpu: Vcpu, memory: GuestMemory, base: bigint, index: number, onHypercall?: OnHypercall) {
    this.vcpu = vcpu;
    this.#memory = memory;
    this.#base = base;
    this.#index = index;
    this.#onHypercall = onHypercall;
  }

  static async start(
    vcpu: Vcpu,
    memory: GuestMemory,
    { base, index, onHypercall }: { base: bigint; index: number; onHypercall: OnHypercall | undefined },
  ): Promise<GuestWorker> {
    const tables = base + BigInt(memory.tables(index));
    await memory.mapping.write(memory.tables(index), pageTables(tables, PAGE_SIZE, base));
    await vcpu.setSregs(longMode(await vcpu.sregs(), tables));
    return new GuestWorker(vcpu, memory, base, index, onHypercall);
  }

  /** Copies out of a guest-physical address; `bytes` gets what arrived. */
  async read(gpa: bigint, bytes: Uint8Array, signal?: AbortSignal): Promise<Stopped | undefined> {
    const length = bytes.byteLength;
    const rsi = await this.#aim(gpa, length);
    const stopped = await this.#move('copy', { rdi: this.#buffer, rsi }, length, signal);
    const arrived = length - (stopped?.left ?? 0);
    if (arrived > 0) bytes.set(await this.#memory.mapping.read(this.#memory.buffer(this.#index), arrived));
    return stopped;
  }

  /** Copies to a guest-physical address. */
  async write(gpa: bigint, bytes: Uint8Array, signal?: AbortSignal): Promise<Stopped | undefined> {
    const rdi = await this.#aim(gpa, bytes.byteLength);
    await this.#memory.mapping.write(this.#memory.buffer(this.#index), bytes);
    return await this.#move('copy', { rdi, rsi: this.#buffer }, bytes.byteLength, signal);
  }

  /** Stores one byte over a range that one window holds. */
  async fill(gpa: bigint, length: number, byte: number, signal?: AbortSignal): Promise<Stopped | undefined> {
    const rdi = await this.#aim(gpa, length);
    return await this.#move('fill', { rdi, rax: BigInt(byte) }, length, signal);
  }

  /** Asks for a conversion, as a confidential guest does; answers the host's answer. */
  async mapGpaRange(gpa: bigint, size: bigint, to: PageState, signal?: AbortSignal): Promise<bigint | Stopped> {
    const attributes = to === 'private' ? KVM_MAP_GPA_RANGE_ENCRYPTED : 0n;
    const registers = { rax: KVM_HC_MAP_GPA_RANGE, rbx: gpa, rcx: size / BigInt(PAGE_SIZE), rdx: attributes };
    const exit = await this.#call({ ...registers, rip: BigInt(ENTRY.hypercall) }, signal);
    if (exit) {
      await this.#abandon(exit);
      return { exit, left: 0 };
    }
    return BigInt.asIntN(64, (await this.vcpu.regs()).rax);
  }

  get #buffer(): bigint {
    return BigInt(this.#memory.buffer(this.#index));
  }

  /** Where the guest finds a range, the window moved there. Loading CR3 makes the CPU forget where it was before. */
  async #aim(gpa: bigint, length: number): Promise<bigint> {
    const window = windowOver(gpa, length, this.#window);
    if (this.#window !== window) {
      const { at, bytes } = windowEntries(window, PAGE_SIZE);
      const tables = this.#memory.tables(this.#index);
      await this.#memory.mapping.write(tables + at, bytes);
      await this.vcpu.setSregs(longMode(await this.vcpu.sregs(), this.#base + BigInt(tables)));
      this.#window = window;
    }
    return inWindow(gpa, window);
  }

  async #move(
    routine: 'copy' | 'fill',
    call: Omit<Call, 'rip'>,
    length: number,
    signal: AbortSignal | undefined,
  ): Promise<Stopped | undefined> {
    const exit = await this.#call({ ...call, rcx: BigInt(length), rip: BigInt(ENTRY[routine]) }, signal);
    if (!exit) return undefined;
    // The registers count a byte that went to the host as moved, but nothing has it.
    const lost = exit.reason === 'mmio' && exit.write ? exit.data.byteLength : 0;
    const left = Number((await this.vcpu.regs()).rcx) + lost;
    await this.#abandon(exit);
    return { exit, left };
  }

  /** Runs a routine to its end, or to the exit that stopped it. */
  async #call(call: Call, signal: AbortSignal | undefined): Promise<VcpuExit | undefined> {
    await this.vcpu.setRegs({ ...call, rflags: RFLAGS });
    while (true) {
      const exit = await this.vcpu.run(signal ? { signal } : {});
      if (exit.reason === 'io' && exit.write && exit.port === DONE_PORT) return undefined;
      if (exit.reason === 'interrupted' && !signal?.aborted) continue;
      if (exit.reason !== 'hypercall' || !this.#onHypercall) return exit;
      const answer = await this.#onHypercall(exit);
      if (answer === undefined) return exit;
      await this.vcpu.respond(exit, answer);
    }
  }

  /**
   * KVM is in the middle of the instruction that made the exit, and would go on with it in the next request. An MMIO
   * access ends with one byte left to move.
   */
  async #abandon(exit: VcpuExit): Promise<void> {
    if (exit.reason === 'mmio') await this.vcpu.setRegs({ ...(await this.vcpu.regs()), rcx: 1n });
    if (exit.reason === 'mmio' || exit.reason === 'hypercall') await this.vcpu.completeExit();
  }
}
