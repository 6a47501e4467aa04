/**
 * A CPU that knows a dozen bytes of x86-64: enough for the guest program of `lib/kvm/guest` and for a test's own few
 * instructions. It fetches them from guest memory and reaches all memory through the guest's page tables.
 */

import type { IoctlOut } from '../../abi/ioctl.ts';
import { PAGE_SIZE } from '../../abi/linux.ts';
import type { KVM_GET_REGS, KVM_GET_SREGS } from '../../abi/vcpu.ts';
import { walk } from './paging.ts';

export type Registers = IoctlOut<typeof KVM_GET_REGS>;
export type SpecialRegisters = IoctlOut<typeof KVM_GET_SREGS>;

/** Guest-physical memory. A transfer answers how many bytes it moved before `E` stopped it. */
export interface PhysicalMemory<E> {
  read(gpa: bigint, bytes: Uint8Array): { readonly moved: number; readonly exit?: E };
  write(gpa: bigint, bytes: Uint8Array): { readonly moved: number; readonly exit?: E };
}

export type During = 'fetch' | 'walk' | 'access';

/** Why the CPU stopped. */
export type Stop<E> =
  /** `during`: what it wanted the memory for. `byte`: the first of those it wanted to write. */
  | { readonly kind: 'memory'; readonly exit: E; readonly during: During; readonly byte: number }
  | { readonly kind: 'out'; readonly port: number; readonly byte: number }
  | { readonly kind: 'in'; readonly port: number }
  | { readonly kind: 'hypercall' }
  | { readonly kind: 'hlt' }
  /** The registers are no state that a CPU can be in. */
  | { readonly kind: 'illegal-state' }
  /** An instruction it does not know, or memory its tables do not have. */
  | { readonly kind: 'unknown'; readonly bytes: Uint8Array }
  | { readonly kind: 'triple-fault' }
  /** It goes in circles. */
  | { readonly kind: 'spinning' };

const REP = 0xf3;
const REP_MOVSB = 0xa4;
const REP_STOSB = 0xaa;
const PAGE = BigInt(PAGE_SIZE);
const CR0_PG = 1n << 31n;
const EFER_LME = 1n << 8n;
/** More steps than this without an exit, and it is taken to go on for ever. */
const PATIENCE = 10_000;

class PageFault extends Error {}

class Interrupted<E> extends Error {
  readonly exit: E;
  readonly during: During;
  readonly byte: number;
  constructor(exit: E, during: During, byte = 0) {
    super();
    this.exit = exit;
    this.during = during;
    this.byte = byte;
  }
}

export class Cpu<E> {
  regs: Registers;
  sregs: SpecialRegisters;
  readonly #memory: PhysicalMemory<E>;

  constructor(memory: PhysicalMemory<E>, regs: Registers, sregs: SpecialRegisters) {
    this.#memory = memory;
    this.regs = regs;
    this.sregs = sregs;
  }

  get pagingIsOn(): boolean {
    return (this.sregs.cr0 & CR0_PG) !== 0n;
  }

  /** Executes until something stops it. RIP stays at the instruction that did, except after HLT. */
  run(): Stop<E> {
    if (this.#isTwoModes()) return { kind: 'illegal-state' };
    const stop = this.#stopping(() => {
      for (let step = 0; step < PATIENCE; step++) {
        const stop = this.#step();
        if (stop) return stop;
      }
      return undefined;
    });
    return stop ?? { kind: 'spinning' };
  }

  /** AMD's manual, volume 2, 15.5.1: in long mode a code segment is not 64-bit and 32-bit at once. */
  #isTwoModes(): boolean {
    const { cs, cr0, efer } = this.sregs;
    return (cr0 & CR0_PG) !== 0n && (efer & EFER_LME) !== 0n && cs.l !== 0 && cs.db !== 0;
  }

  #stopping(work: () => Stop<E> | undefined): Stop<E> | undefined {
    try {
      return work();
    } catch (error) {
      if (error instanceof Interrupted) {
        return { kind: 'memory', exit: error.exit as E, during: error.during, byte: error.byte };
      }
      if (error instanceof PageFault) return { kind: 'triple-fault' };
      throw error;
    }
  }

  /** After an `out`, or an `in` that got its byte, the instruction is over. */
  finishPort(read?: number): void {
    if (read !== undefined) this.regs.rax = (this.regs.rax & ~0xffn) | BigInt(read);
    this.regs.rip += 2n;
  }

  finishHypercall(answer: bigint): void {
    this.regs.rax = BigInt.asUintN(64, answer);
    this.regs.rip += 3n;
  }

  /**
   * One byte of a REP instruction was moved outside: a read's value is given, a write's is gone. A read byte's own
   * destination may stop the CPU again.
   */
  finishMmio(read: number | undefined): Stop<E> | undefined {
    return this.#stopping(() => {
      const moves = this.#fetch(this.regs.rip)[1] === REP_MOVSB;
      if (read !== undefined) this.#transfer('write', this.regs.rdi, Uint8Array.of(read));
      if (moves) this.regs.rsi += 1n;
      this.regs.rdi += 1n;
      this.regs.rcx -= 1n;
      if (this.regs.rcx === 0n) this.regs.rip += 2n;
      return undefined;
    });
  }

  #step(): Stop<E> | undefined {
    const code = this.#fetch(this.regs.rip);
    const [first, second, third] = code;
    if (first === REP && second === REP_MOVSB) return this.#repeat(2n, (size) => this.#copy(size));
    if (first === REP && second === REP_STOSB) return this.#repeat(2n, (size) => this.#store(size));
    if (first === 0xe6) return { kind: 'out', port: second!, byte: Number(this.regs.rax & 0xffn) };
    if (first === 0xe4) return { kind: 'in', port: second! };
    if (first === 0x0f && second === 0x01 && (third === 0xc1 || third === 0xd9)) return { kind: 'hypercall' };
    if (first === 0xf4) return this.#advance(1n, { kind: 'hlt' });
    if (first === 0x90) return this.#advance(1n);
    if (first === 0xeb) return this.#advance(2n + BigInt.asIntN(8, BigInt(second!)));
    return { kind: 'unknown', bytes: code };
  }

  #advance<T>(by: bigint, then?: T): T | undefined {
    this.regs.rip += by;
    return then;
  }

  /** A REP instruction: runs of bytes that lie in one page on both sides; the registers follow every one. */
  #repeat(length: bigint, move: (size: number) => number): undefined {
    while (this.regs.rcx > 0n) {
      const room = [this.regs.rcx, PAGE - (this.regs.rdi % PAGE), PAGE - (this.regs.rsi % PAGE)];
      const size = Number(room.reduce((a, b) => (a < b ? a : b)));
      this.regs.rcx -= BigInt(move(size));
    }
    this.regs.rip += length;
    return undefined;
  }

  #copy(size: number): number {
    const bytes = new Uint8Array(size);
    this.#transfer('read', this.regs.rsi, bytes);
    this.#transfer('write', this.regs.rdi, bytes);
    this.regs.rsi += BigInt(size);
    this.regs.rdi += BigInt(size);
    return size;
  }

  #store(size: number): number {
    this.#transfer('write', this.regs.rdi, new Uint8Array(size).fill(Number(this.regs.rax & 0xffn)));
    this.regs.rdi += BigInt(size);
    return size;
  }

  #fetch(rip: bigint): Uint8Array {
    const bytes = new Uint8Array(3);
    this.#transfer('read', rip, bytes, 'fetch');
    return bytes;
  }

  #transfer(how: 'read' | 'write', virtual: bigint, bytes: Uint8Array, during: During = 'access'): void {
    const { exit } = this.#memory[how](this.#physical(virtual), bytes);
    if (exit !== undefined) throw new Interrupted(exit, during, how === 'write' ? bytes[0] : 0);
  }

  #physical(virtual: bigint): bigint {
    if (!this.pagingIsOn) return this.sregs.cs.base + virtual;
    const gpa = walk(this.sregs.cr3, virtual, (at) => {
      const entry = new Uint8Array(8);
      const { exit } = this.#memory.read(at, entry);
      if (exit !== undefined) throw new Interrupted(exit, 'walk');
      return new DataView(entry.buffer).getBigUint64(0, true);
    });
    if (gpa === undefined) throw new PageFault();
    return gpa;
  }
}
