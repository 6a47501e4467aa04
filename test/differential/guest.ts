/** A guest on one kernel, without promises: the same program as `lib/kvm/guest`, driven call by call. */

import { errno } from '../../lib/abi/errno.ts';
import type { StructIoctl } from '../../lib/abi/ioctl.ts';
import { KVM_SET_USER_MEMORY_REGION } from '../../lib/abi/kvm.ts';
import { MAP_ANONYMOUS, MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../lib/abi/linux.ts';
import {
  exitData,
  KVM_CREATE_VCPU,
  KVM_EXIT_HYPERCALL,
  KVM_EXIT_IO,
  KVM_EXIT_MEMORY_FAULT,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
  KVM_GET_REGS,
  KVM_GET_SREGS,
  KVM_GET_VCPU_MMAP_SIZE,
  KVM_RUN,
  KVM_RUN_EXIT,
  KVM_SET_CPUID2,
  KVM_SET_REGS,
  KVM_SET_SREGS,
  kvm_run,
} from '../../lib/abi/vcpu.ts';
import { inWindow, longMode, pageTables, TABLE_PAGES, windowEntries, windowOver } from '../../lib/kvm/guest/paging.ts';
import { codePage, DONE_PORT, ENTRY } from '../../lib/kvm/guest/program.ts';
import type { Syscalls } from '../../lib/syscalls/seam.ts';
import { answerName, type Seen } from './seen.ts';
import type { Side } from './side.ts';

/** Bytes one access moves at most. */
export const LONGEST = 2 * PAGE_SIZE;
/** Out of the way of generated slots, and of generated vCPU ids. */
const BASE = 0xd000_0000n;
export const GUEST_SLOT = 32_763;
const VCPU_ID = 60;
const TABLES = PAGE_SIZE;
const BUFFER = TABLES + TABLE_PAGES * PAGE_SIZE;
const MEMORY = BUFFER + LONGEST;
const IMMEDIATE_EXIT = BigInt(kvm_run.fields.find(({ name }) => name === 'immediate_exit')!.offset);
const EXIT_BYTES = KVM_RUN_EXIT + Math.max(...Object.values(exitData).map(({ size }) => size));
const RFLAGS = 2n;

type Registers = Partial<Record<'rip' | 'rax' | 'rcx' | 'rsi' | 'rdi', bigint>>;

export class GuestOnSide {
  readonly vcpu: number;
  readonly #syscalls: Syscalls;
  readonly #memory: bigint;
  readonly #area: bigint;
  readonly #areaSize: number;
  #window: bigint | undefined;

  private constructor(syscalls: Syscalls, vcpu: number, memory: bigint, area: { at: bigint; size: number }) {
    this.#syscalls = syscalls;
    this.vcpu = vcpu;
    this.#memory = memory;
    this.#area = area.at;
    this.#areaSize = area.size;
  }

  static make(side: Side, vm: number): GuestOnSide | Seen {
    const { syscalls } = side;
    const memory = syscalls.mmapSync(MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0n);
    if (memory < 0n) return { ret: Number(memory), note: 'memory for a guest' };
    const region = { slot: GUEST_SLOT, guest_phys_addr: BASE, memory_size: MEMORY, userspace_addr: memory };
    const placed = side.ioctl(vm, KVM_SET_USER_MEMORY_REGION, region);
    const vcpu = placed.ret === 0 ? syscalls.ioctlFdSync(vm, KVM_CREATE_VCPU.request, VCPU_ID) : placed.ret;
    if (vcpu < 0) {
      syscalls.munmapSync(memory, MEMORY);
      return { ret: vcpu, note: 'a vCPU for a guest' };
    }
    must('KVM_SET_CPUID2', syscalls.ioctlSync(vcpu, KVM_SET_CPUID2.request, side.cpuid.slice()));
    const size = syscalls.ioctlSync(side.kvm, KVM_GET_VCPU_MMAP_SIZE.request, 0);
    const at = syscalls.mmapSync(size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0n);
    must('mmap of kvm_run', Number(at));
    const guest = new GuestOnSide(syscalls, vcpu, memory, { at, size });
    syscalls.copyInSync(memory, codePage(PAGE_SIZE));
    syscalls.copyInSync(memory + BigInt(TABLES), pageTables(BASE + BigInt(TABLES), PAGE_SIZE, BASE));
    return guest;
  }

  close(): void {
    this.#syscalls.munmapSync(this.#area, this.#areaSize);
    this.#syscalls.closeSync(this.vcpu);
    this.#syscalls.munmapSync(this.#memory, MEMORY);
  }

  read(gpa: bigint, length: number): Seen {
    const stopped = this.#move('copy', length, { rsi: this.#aim(gpa, length), rdi: BigInt(BUFFER) });
    const bytes = new Uint8Array(length - stopped.left);
    if (bytes.length > 0) this.#syscalls.copyOutSync(this.#memory + BigInt(BUFFER), bytes);
    return { ...stopped.seen, bytes };
  }

  write(gpa: bigint, bytes: Uint8Array): Seen {
    this.#syscalls.copyInSync(this.#memory + BigInt(BUFFER), bytes);
    return this.#move('copy', bytes.length, { rsi: BigInt(BUFFER), rdi: this.#aim(gpa, bytes.length) }).seen;
  }

  fill(gpa: bigint, length: number, byte: number): Seen {
    return this.#move('fill', length, { rdi: this.#aim(gpa, length), rax: BigInt(byte) }).seen;
  }

  #move(routine: 'copy' | 'fill', length: number, registers: Registers): { seen: Seen; left: number } {
    this.#setRegisters({ ...registers, rip: BigInt(ENTRY[routine]), rcx: BigInt(length) });
    const { ret, note } = this.#run();
    if (note === undefined) return { seen: { ret }, left: 0 };
    const left = Number(this.#get(KVM_GET_REGS)['rcx']);
    this.#abandon();
    return { seen: { ret, note: `${note}, ${left} bytes left` }, left };
  }

  /** The exit in words; none where the routine came to its end. */
  #run(): Seen {
    this.#syscalls.copyInSync(this.#area, new Uint8Array(16));
    let ret: number;
    // A signal is no answer of the kernel's; only #abandon wants to come back with EINTR.
    do ret = this.#syscalls.ioctlSync(this.vcpu, KVM_RUN.request, 0);
    while (ret === -errno.EINTR);
    const bytes = new Uint8Array(EXIT_BYTES);
    this.#syscalls.copyOutSync(this.#area, bytes);
    const note = describeExit(bytes);
    return ret === 0 && note === undefined ? { ret } : { ret, note: note ?? 'port' };
  }

  /** KVM would go on with the instruction of the last exit: lets it finish on one last byte, outside the guest. */
  #abandon(): void {
    this.#set(KVM_SET_REGS, { ...this.#get(KVM_GET_REGS), rcx: 1n });
    this.#syscalls.copyInSync(this.#area + IMMEDIATE_EXIT, Uint8Array.of(1));
    this.#syscalls.ioctlSync(this.vcpu, KVM_RUN.request, 0);
    this.#syscalls.copyInSync(this.#area + IMMEDIATE_EXIT, Uint8Array.of(0));
  }

  /** Where the guest finds a range, the window moved there. Loading CR3 makes the CPU forget where it was before. */
  #aim(gpa: bigint, length: number): bigint {
    const window = windowOver(gpa, length, this.#window);
    if (this.#window !== window) {
      const { at, bytes } = windowEntries(window, PAGE_SIZE);
      this.#syscalls.copyInSync(this.#memory + BigInt(TABLES + at), bytes);
      this.#set(KVM_SET_SREGS, longMode(this.#get(KVM_GET_SREGS) as never, BASE + BigInt(TABLES)));
      this.#window = window;
    }
    return inWindow(gpa, window);
  }

  #setRegisters(registers: Registers): void {
    this.#set(KVM_SET_REGS, { ...registers, rflags: RFLAGS });
  }

  #get(ioctl: StructIoctl): Record<string, unknown> {
    const bytes = new Uint8Array(ioctl.struct.size);
    must('reading registers', this.#syscalls.ioctlSync(this.vcpu, ioctl.request, bytes));
    return ioctl.struct.decode(bytes);
  }

  #set(ioctl: StructIoctl, values: object): void {
    must('setting registers', this.#syscalls.ioctlSync(this.vcpu, ioctl.request, ioctl.struct.encode(values as never)));
  }
}

function must(step: string, ret: number): void {
  if (ret < 0) throw new Error(`a guest cannot be made: ${step} answers ${answerName(ret)}`);
}

/** The exit and what came with it; undefined for the port by which the program says that it is done. */
function describeExit(area: Uint8Array): string | undefined {
  const { exit_reason } = kvm_run.decode(area);
  const data = area.subarray(KVM_RUN_EXIT);
  switch (exit_reason) {
    case KVM_EXIT_IO:
      return exitData.io.decode(data).port === DONE_PORT ? undefined : 'another port';
    case KVM_EXIT_MMIO: {
      const { phys_addr, len, is_write, data: bytes } = exitData.mmio.decode(data);
      const what = is_write ? `writes ${bytes[0]}` : 'reads';
      return `mmio at 0x${phys_addr.toString(16)}: ${what}, ${len} bytes`;
    }
    case KVM_EXIT_MEMORY_FAULT: {
      const { flags, gpa, size } = exitData.memory_fault.decode(data);
      return `memory fault at 0x${gpa.toString(16)}, flags ${flags}, size ${size}`;
    }
    case KVM_EXIT_HYPERCALL:
      return 'hypercall';
    case KVM_EXIT_SHUTDOWN:
      return 'shutdown';
    default:
      return `exit ${exit_reason}`;
  }
}
