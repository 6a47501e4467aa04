/** kvm_run: what KVM_RUN leaves there for each exit. Answers what KVM_RUN answers. */

import { errno } from '../../abi/errno.ts';
import { PAGE_SIZE } from '../../abi/linux.ts';
import type { Fields, Struct, StructIn } from '../../abi/struct.ts';
import {
  exitData,
  KVM_EXIT_FAIL_ENTRY,
  KVM_EXIT_HLT,
  KVM_EXIT_HYPERCALL,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_INTR,
  KVM_EXIT_IO,
  KVM_EXIT_IO_IN,
  KVM_EXIT_IO_OUT,
  KVM_EXIT_MEMORY_FAULT,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
  KVM_RUN_EXIT,
  kvm_run,
} from '../../abi/vcpu.ts';
import { Folio } from '../memory.ts';
import type { GuestExit } from './guest.ts';

/** kvm_run, the page of port data, and the ring of coalesced MMIO. */
export const RUN_AREA_PAGES = 3;
const PORT_DATA = PAGE_SIZE;

const KVM_INTERNAL_ERROR_EMULATION = 1;
/** The exit code of AMD's SVM for a state it does not enter. */
const VMEXIT_INVALID = 0xffff_ffffn;

export class RunArea {
  readonly #folios = Array.from({ length: RUN_AREA_PAGES }, () => new Folio());

  folio(page: number): Folio {
    return this.#folios[page]!;
  }

  get #header(): Uint8Array {
    return this.folio(0).bytes;
  }

  get immediateExit(): boolean {
    return kvm_run.decode(this.#header).immediate_exit !== 0;
  }

  #exit<F extends Fields>(reason: number, type?: Struct<F>, values?: StructIn<F>): void {
    const header = kvm_run.decode(this.#header);
    this.#header.set(kvm_run.encode({ ...header, exit_reason: reason }));
    if (type && values) this.#header.set(type.encode(values), KVM_RUN_EXIT);
  }

  interrupted(): number {
    this.#exit(KVM_EXIT_INTR);
    return -errno.EINTR;
  }

  halted(): number {
    this.#exit(KVM_EXIT_HLT);
    return 0;
  }

  shutdown(): number {
    this.#exit(KVM_EXIT_SHUTDOWN);
    return 0;
  }

  failEntry(): number {
    this.#exit(KVM_EXIT_FAIL_ENTRY, exitData.fail_entry, { hardware_entry_failure_reason: VMEXIT_INVALID });
    return 0;
  }

  emulationFailed(): number {
    this.#exit(KVM_EXIT_INTERNAL_ERROR, exitData.internal, { suberror: KVM_INTERNAL_ERROR_EMULATION });
    return 0;
  }

  out(port: number, byte: number): number {
    this.folio(1).bytes[0] = byte;
    return this.#port(port, KVM_EXIT_IO_OUT);
  }

  in(port: number): number {
    return this.#port(port, KVM_EXIT_IO_IN);
  }

  #port(port: number, direction: number): number {
    this.#exit(KVM_EXIT_IO, exitData.io, { direction, size: 1, port, count: 1, data_offset: PORT_DATA });
    return 0;
  }

  /** What userspace answered to the last port read. */
  get portAnswer(): number {
    return this.folio(1).bytes[0]!;
  }

  hypercall(nr: bigint, args: readonly bigint[]): number {
    this.#exit(KVM_EXIT_HYPERCALL, exitData.hypercall, { nr, args });
    return 0;
  }

  /** What userspace answered to the last hypercall exit. */
  get hypercallAnswer(): bigint {
    return exitData.hypercall.decode(this.#header.subarray(KVM_RUN_EXIT)).ret;
  }

  memoryFault({ flags, gpa, size, errno: error }: Extract<GuestExit, { reason: 'memory-fault' }>): number {
    this.#exit(KVM_EXIT_MEMORY_FAULT, exitData.memory_fault, { flags, gpa, size });
    return error;
  }

  mmio(gpa: bigint, write: boolean, byte: number): number {
    const data = [write ? byte : 0];
    this.#exit(KVM_EXIT_MMIO, exitData.mmio, { phys_addr: gpa, data, len: 1, is_write: write ? 1 : 0 });
    return 0;
  }

  /** What userspace answered to the last MMIO read. */
  get mmioAnswer(): number {
    return exitData.mmio.decode(this.#header.subarray(KVM_RUN_EXIT)).data[0]!;
  }
}
