/** The kvm_run area of a vCPU: mapping it, and one KVM_RUN with what it left there. */

import { MAP_SHARED, PROT_READ, PROT_WRITE } from '../abi/linux.ts';
import { KVM_GET_VCPU_MMAP_SIZE, KVM_RUN, kvm_run } from '../abi/vcpu.ts';
import {
  type Context,
  checkReleased,
  type Dependent,
  failure,
  issue,
  type OwnedFd,
  prepareIoctl,
  type Result,
  success,
} from '../host/index.ts';
import { decodeExit, EXIT_BYTES, type VcpuExit } from './exits.ts';

/** Up to and with exit_reason, all zero: no immediate exit asked for, and no reason left over from the run before. */
const CLEARED = new Uint8Array(fieldEnd('exit_reason'));
const IMMEDIATE_EXIT = BigInt(fieldAt('immediate_exit').offset);

function fieldAt(name: keyof ReturnType<typeof kvm_run.decode>) {
  return kvm_run.fields.find((field) => field.name === name)!;
}

function fieldEnd(name: Parameters<typeof fieldAt>[0]): number {
  const { offset, type } = fieldAt(name);
  return offset + type.size;
}

export class RunArea implements Dependent {
  readonly #context: Context;
  readonly #fd: number;
  readonly #address: bigint;
  readonly #length: number;
  #interrupted = false;
  #hurried = false;
  #last: VcpuExit | undefined;
  /** Ends with the KVM_RUN under way. */
  #running: Promise<void> | undefined;

  private constructor(context: Context, fd: number, address: bigint, length: number) {
    this.#context = context;
    this.#fd = fd;
    this.#address = address;
    this.#length = length;
  }

  static async map(context: Context, system: number, vcpu: OwnedFd): Promise<Result<RunArea>> {
    const { syscalls } = context;
    const asked = await issue(syscalls, system, prepareIoctl(system, KVM_GET_VCPU_MMAP_SIZE, 0));
    if (!asked.ok) return asked;
    const fd = vcpu.number;
    const address = await syscalls.mmap(asked.ret, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0n);
    if (address < 0n) return failure({ syscall: 'mmap', fd, args: { length: asked.ret } }, Number(address));
    return success(new RunArea(context, fd, address, asked.ret));
  }

  /** Bytes. */
  get length(): number {
    return this.#length;
  }

  /** The exit that the area tells of. */
  get last(): VcpuExit | undefined {
    return this.#last;
  }

  /** One KVM_RUN, after those that were asked for before. */
  run(signal: AbortSignal | undefined): Promise<Result<VcpuExit>> {
    return this.#alone(async () => {
      if (this.#hurried || signal?.aborted) return success({ reason: 'interrupted' });
      const interrupt = () => this.interrupt();
      signal?.addEventListener('abort', interrupt);
      try {
        return await this.#enter();
      } finally {
        signal?.removeEventListener('abort', interrupt);
      }
    });
  }

  /**
   * The area tells of one KVM_RUN at a time, and so does its interrupt: KVM's own lock on the vCPU is no help. Begins
   * at once where nothing runs, so that an interrupt asked for right after is not lost.
   */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.#running) await this.#running;
    let over = () => {};
    this.#running = new Promise((resolve) => {
      over = resolve;
    });
    try {
      return await work();
    } finally {
      this.#running = undefined;
      over();
    }
  }

  /** Interrupted before it began counts as interrupted. */
  async #enter(): Promise<Result<VcpuExit>> {
    const { syscalls } = this.#context;
    this.#interrupted = false;
    this.#last = undefined;
    await syscalls.copyIn(this.#address, CLEARED);
    if (this.#interrupted) return success({ reason: 'interrupted' });
    const flag = { address: this.#address + IMMEDIATE_EXIT };
    const ret = await syscalls.ioctlBlocking(this.#fd, KVM_RUN.request, flag);
    const exit = decodeExit(ret, await this.read(0, EXIT_BYTES));
    this.#last = exit;
    return exit ? success(exit) : failure({ syscall: 'ioctl', request: 'KVM_RUN', fd: this.#fd }, ret);
  }

  /** Lets KVM finish the instruction of the last exit, without entering the guest. */
  complete(): Promise<void> {
    const { syscalls } = this.#context;
    const flag = { address: this.#address + IMMEDIATE_EXIT };
    return this.#alone(async () => {
      this.#last = undefined;
      await syscalls.copyIn(flag.address, Uint8Array.of(1));
      await syscalls.ioctlBlocking(this.#fd, KVM_RUN.request, flag);
    });
  }

  /** The vCPU is to be closed: a guest that never exits must not keep it. */
  hurry(): void {
    this.#hurried = true;
    this.interrupt();
  }

  async release(): Promise<void> {
    const args = { address: this.#address, length: this.#length };
    checkReleased({ syscall: 'munmap', args }, await this.#context.syscalls.munmap(this.#address, this.#length));
  }

  interrupt(): void {
    this.#interrupted = true;
    this.#context.syscalls.interrupt(this.#fd);
  }

  async read(at: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await this.#context.syscalls.copyOut(this.#address + BigInt(at), bytes);
    return bytes;
  }

  async write(at: number, bytes: Uint8Array): Promise<void> {
    await this.#context.syscalls.copyIn(this.#address + BigInt(at), bytes);
  }
}
