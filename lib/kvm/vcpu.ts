/** A virtual CPU: its registers, and running it from exit to exit. */

import { checkInteger, checkOneOf, checkOptions, outOfRange, U64_MAX, wrongType } from '../abi/invalid.ts';
import type { Ioctl, IoctlIn, IoctlOut } from '../abi/ioctl.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import {
  KVM_GET_MP_STATE,
  KVM_GET_REGS,
  KVM_GET_SREGS,
  KVM_PRE_FAULT_MEMORY,
  KVM_SET_MP_STATE,
  KVM_SET_REGS,
  KVM_SET_SREGS,
} from '../abi/vcpu.ts';
import {
  type Context,
  checkPages,
  FdResource,
  failed,
  type IoctlOutcome,
  issue,
  type OwnedFd,
  prepareIoctl,
  type RawArg,
  type Result,
  recogniseDeath,
  success,
  unwrap,
  unwrapIoctl,
} from '../host/index.ts';
import type { HypercallExit, IoExit, MmioExit, VcpuExit } from './exits.ts';
import { checkResponse } from './respond.ts';
import type { RunArea } from './vcpu-run.ts';

export type Registers = IoctlOut<typeof KVM_GET_REGS>;
export type SpecialRegisters = IoctlOut<typeof KVM_GET_SREGS>;

export interface RunOptions {
  /** Brings the vCPU back: the run answers 'interrupted'. */
  readonly signal?: AbortSignal;
}

export interface PreFaultRange {
  /** A guest-physical address, whole pages. */
  readonly gpa: number | bigint;
  /** Bytes, whole pages. */
  readonly size: number | bigint;
}

/** What a Vcpu is made of. */
export interface VcpuParts {
  readonly id: number;
  readonly vm: OwnedFd;
  readonly area: RunArea;
}

/** Made by `vm.createVcpu()`. Each runs on a thread of its own; closing it interrupts it first. */
export class Vcpu extends FdResource {
  readonly id: number;
  readonly #vm: OwnedFd;
  readonly #area: RunArea;

  constructor(context: Context, handle: OwnedFd, { id, vm, area }: VcpuParts) {
    super(context, handle);
    this.id = id;
    this.#vm = vm;
    this.#area = area;
    handle.attach(area);
  }

  /** @internal */
  static internals(vcpu: Vcpu): OwnedFd {
    return vcpu.handle;
  }

  /** The general registers. @throws KernelError */
  async regs(): Promise<Registers> {
    return await this.#get(KVM_GET_REGS);
  }

  /** Sets all general registers; one left out becomes 0. @throws KernelError */
  async setRegs(regs: IoctlIn<typeof KVM_SET_REGS>): Promise<void> {
    unwrapIoctl(await this.#ask(KVM_SET_REGS, KVM_SET_REGS.struct.encode(regs)));
  }

  /** Segments, control registers and EFER. @throws KernelError */
  async sregs(): Promise<SpecialRegisters> {
    return await this.#get(KVM_GET_SREGS);
  }

  /** Sets them all; read them first and change what is to change. @throws KernelError EINVAL for an illegal state */
  async setSregs(sregs: IoctlIn<typeof KVM_SET_SREGS>): Promise<void> {
    unwrapIoctl(await this.#ask(KVM_SET_SREGS, KVM_SET_SREGS.struct.encode(sregs)));
  }

  /** KVM_MP_STATE_*: runnable, halted, waiting to be started. @throws KernelError */
  async mpState(): Promise<number> {
    return (await this.#get(KVM_GET_MP_STATE)).mp_state;
  }

  /** @throws KernelError EINVAL for a state that needs an in-kernel interrupt controller */
  async setMpState(mp_state: number): Promise<void> {
    checkInteger('mp_state', mp_state, 0, U32_MAX);
    unwrapIoctl(await this.#ask(KVM_SET_MP_STATE, { mp_state }));
  }

  /**
   * Runs the guest until it exits. An exit is a value, a memory fault too; only a KVM_RUN that failed without one is
   * an error.
   *
   * | errno  | meaning                                                                    |
   * |--------|----------------------------------------------------------------------------|
   * | EIO    | KVM has killed the VM (VmDeadError)                                          |
   * | EINVAL | the registers make no legal state                                            |
   * | EFAULT | without an exit: KVM could not read guest memory that it needed itself        |
   *
   * Source: kvm_arch_vcpu_ioctl_run(), arch/x86/kvm/x86.c.
   *
   * @throws KernelError
   */
  async run(options: RunOptions = {}): Promise<VcpuExit> {
    return unwrap(await this.tryRun(options));
  }

  /** As `run`, with the kernel's refusal as a value. */
  async tryRun(options: RunOptions = {}): Promise<Result<VcpuExit>> {
    const signal = checkRun(options);
    return await this.handle.use(() => this.#run(signal));
  }

  async #run(signal: AbortSignal | undefined): Promise<Result<VcpuExit>> {
    const result = await this.#area.run(signal);
    if (result.ok) return result;
    const failed = { ...result, ret: result.errno, out: undefined };
    const outcome = await recogniseDeath(this.context.syscalls, this.#vm.number, failed);
    return outcome.ok ? result : { ...result, error: outcome.error };
  }

  /**
   * The exits, one after the other, until the signal is aborted or the loop is left. Between two, answer the exit.
   *
   * ```ts
   * for await (const exit of vcpu.exits({ signal })) if (exit.reason === 'hlt') break;
   * ```
   */
  exits(options: RunOptions = {}): AsyncGenerator<VcpuExit, void, void> {
    const signal = checkRun(options);
    this.handle.checkOpen();
    return this.#exits(signal);
  }

  async *#exits(signal: AbortSignal | undefined): AsyncGenerator<VcpuExit, void, void> {
    while (!signal?.aborted) {
      const exit = await this.run(signal ? { signal } : {});
      if (exit.reason === 'interrupted' && signal?.aborted) return;
      yield exit;
    }
  }

  /** Brings a run under way back with 'interrupted'. Does nothing when none is. */
  interrupt(): void {
    this.handle.checkOpen();
    this.#area.interrupt();
  }

  /**
   * Lets KVM finish the instruction that an I/O, MMIO or hypercall exit came from, without running the guest further:
   * what a caller does who wants to change registers next. Does nothing after other exits.
   */
  async completeExit(): Promise<void> {
    await this.handle.use(() => this.#area.complete());
  }

  /** What the guest wrote in an `io` exit, item after item. */
  async ioData(exit: IoExit): Promise<Uint8Array> {
    const { at, length } = checkIoData(exit, this.#area.length);
    return await this.handle.use(() => this.#area.read(at, length));
  }

  /**
   * Answers the last exit, where the guest waits for an answer: what it reads from a port or from an address without
   * memory, or what its hypercall returns (0, or -errno as KVM's own hypercalls answer). The next run passes it on; a
   * guest that got no answer finds zeros, or what was left over at the port.
   *
   * ```ts
   * for await (const exit of vcpu.exits({ signal })) {
   *   if (exit.reason === 'mmio' && !exit.write) await vcpu.respond(exit, new Uint8Array(exit.data.length).fill(0xff));
   * }
   * ```
   *
   * @throws TypeError for an exit that takes no answer, or that is not the last; RangeError for another number of bytes
   */
  async respond(exit: IoExit | MmioExit, bytes: Uint8Array): Promise<void>;
  async respond(exit: HypercallExit, returns: number | bigint): Promise<void>;
  async respond(exit: VcpuExit, answer: Uint8Array | number | bigint): Promise<void> {
    this.handle.checkOpen();
    const { at, bytes } = checkResponse(exit, answer, this.#area.last);
    await this.handle.use(() => this.#area.write(at, bytes));
  }

  /**
   * Gives the guest its memory before it asks for it. Stops at the first page that cannot be given: the error's
   * `completed` says how many bytes were.
   *
   * | errno      | meaning                                                                        |
   * |------------|--------------------------------------------------------------------------------|
   * | EAGAIN     | the memory region is being deleted or moved                                    |
   * | EFAULT     | no memory there, private memory that this VM's guest may not have, or private  |
   * |            | by the VM's attributes and outside all memory regions                          |
   * | EHWPOISON  | the page is broken                                                             |
   * | ENOENT     | outside all memory regions                                                     |
   * | EOPNOTSUPP | not on this VM type or paging mode                                             |
   *
   * Do not delete a memory region of a VM of type `default` meanwhile: on Linux 7.3 both calls may then never end. The
   * deletion makes KVM give up all page tables of such a VM, and a pre-fault that began with the old ones tries again
   * until a signal comes, with the deletion waiting for it.
   *
   * Source: kvm_vcpu_pre_fault_memory(), virt/kvm/kvm_main.c; kvm_tdp_page_prefault(), arch/x86/kvm/mmu/mmu.c.
   *
   * @throws KernelError, RangeError for a range that is empty or not page aligned
   */
  async preFault(range: PreFaultRange): Promise<void> {
    unwrap(await this.tryPreFault(range));
  }

  /** As `preFault`, with the kernel's refusal as a value. */
  async tryPreFault(range: PreFaultRange): Promise<Result<void>> {
    checkOptions('range', range, ['gpa', 'size']);
    const start = checkPages('range.gpa', range.gpa, 0n, U64_MAX);
    const total = checkPages('range.size', range.size, BigInt(PAGE_SIZE), U64_MAX);
    for (let left = { gpa: start, size: total }; left.size > 0n; ) {
      const outcome = await this.#ask(KVM_PRE_FAULT_MEMORY, left);
      if (!outcome.ok) return failed(outcome.error.with({ completed: Number(left.gpa - start) }));
      left = { gpa: outcome.out.gpa, size: outcome.out.size };
    }
    return success(undefined);
  }

  async #get<I extends Ioctl>(ioctl: I): Promise<IoctlOut<I>> {
    return unwrapIoctl(await this.#ask(ioctl, {} as RawArg<I>)).out;
  }

  #ask<I extends Ioctl>(ioctl: I, args: RawArg<I>): Promise<IoctlOutcome<IoctlOut<I>>> {
    const { syscalls } = this.context;
    const { number } = this.handle;
    return this.handle.use(async () => {
      const outcome = await issue(syscalls, number, prepareIoctl(number, ioctl, args));
      return await recogniseDeath(syscalls, this.#vm.number, outcome);
    });
  }
}

const U32_MAX = 0xffff_ffff;

/** A vCPU's id. */
export const checkVcpuId = (id: unknown): number => checkInteger('options.id', id, 0, U32_MAX);

function checkRun(options: RunOptions): AbortSignal | undefined {
  const { signal } = checkOptions<RunOptions>('options', options, ['signal']);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw wrongType('options.signal', 'an AbortSignal', signal);
  }
  return signal;
}

const IO_KEYS = ['reason', 'write', 'size', 'port', 'count', 'dataOffset'] as const;

/** An exit is what its caller makes of it: what lies outside the area is not read. */
function checkIoData(exit: IoExit, area: number): { readonly at: number; readonly length: number } {
  const { reason, size, count, dataOffset } = checkOptions<IoExit>('exit', exit, IO_KEYS);
  checkOneOf('exit.reason', reason, ['io']);
  const length = checkInteger('exit.size', size, 1, 4) * checkInteger('exit.count', count, 0, area);
  const at = checkInteger('exit.dataOffset', dataOffset, 0, area);
  if (at + length > area) throw outOfRange('exit', `about data in the ${area} bytes that the vCPU shares`, exit);
  return { at, length };
}
