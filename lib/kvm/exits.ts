/** Why KVM_RUN came back: kvm_run decoded, one type for each reason. */

import { errno, errnoName } from '../abi/errno.ts';
import {
  exitData,
  KVM_EXIT_FAIL_ENTRY,
  KVM_EXIT_HLT,
  KVM_EXIT_HYPERCALL,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_IO,
  KVM_EXIT_IO_OUT,
  KVM_EXIT_MEMORY_FAULT,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
  KVM_EXIT_SYSTEM_EVENT,
  KVM_HC_MAP_GPA_RANGE,
  KVM_MAP_GPA_RANGE_ENCRYPTED,
  KVM_MEMORY_EXIT_FLAG_PRIVATE,
  KVM_RUN_EXIT,
  kvm_run,
} from '../abi/vcpu.ts';
import type { PageState } from '../guest-memfd/index.ts';

/** The guest used an I/O port. The data lies in the vCPU's mapping, `count` items of `size` bytes at `dataOffset`. */
export interface IoExit {
  readonly reason: 'io';
  readonly write: boolean;
  /** Bytes of one item: 1, 2 or 4. */
  readonly size: number;
  readonly port: number;
  readonly count: number;
  readonly dataOffset: number;
}

/** The guest touched an address without memory behind it. */
export interface MmioExit {
  readonly reason: 'mmio';
  readonly gpa: bigint;
  readonly write: boolean;
  /** What it wrote; for a read, as many bytes as it wants. */
  readonly data: Uint8Array;
}

/** The guest made a hypercall that userspace asked to see. `ret` is the guest's answer, 0 unless it is set. */
export interface HypercallExit {
  readonly reason: 'hypercall';
  readonly nr: bigint;
  readonly args: readonly bigint[];
  /** Of KVM_HC_MAP_GPA_RANGE: what the guest wants converted. `gpa` and `size` are in bytes. */
  readonly mapGpaRange?: { readonly gpa: bigint; readonly size: bigint; readonly to: PageState };
}

/**
 * Memory could not be given to the guest: it is in the other state than the access asked for, or there is none.
 * KVM_RUN itself answered `errno`: EFAULT, or EHWPOISON for a broken page, or what the allocation failed with.
 */
export interface MemoryFaultExit {
  readonly reason: 'memory-fault';
  /** Negative. */
  readonly errno: number;
  /** Whether the access was to private memory (KVM_MEMORY_EXIT_FLAG_PRIVATE). */
  readonly private: boolean;
  readonly flags: bigint;
  /** Page aligned. */
  readonly gpa: bigint;
  /** Bytes. */
  readonly size: bigint;
}

/** KVM could not emulate an instruction or deliver an event. */
export interface InternalErrorExit {
  readonly reason: 'internal-error';
  readonly suberror: number;
  readonly data: readonly bigint[];
}

/** The CPU refused to enter the guest: its state is not a legal one. */
export interface FailEntryExit {
  readonly reason: 'fail-entry';
  readonly hardwareReason: bigint;
  readonly cpu: number;
}

export interface SystemEventExit {
  readonly reason: 'system-event';
  readonly type: number;
  readonly data: readonly bigint[];
}

export type VcpuExit =
  | IoExit
  | MmioExit
  | HypercallExit
  | MemoryFaultExit
  | InternalErrorExit
  | FailEntryExit
  | SystemEventExit
  /** The guest halted. */
  | { readonly reason: 'hlt' }
  /** A triple fault, or another reset. */
  | { readonly reason: 'shutdown' }
  /** A signal or immediate_exit brought it back. */
  | { readonly reason: 'interrupted' }
  /** A reason this package does not decode. */
  | { readonly reason: 'other'; readonly exitReason: number };

/** How many bytes of kvm_run an exit needs. */
export const EXIT_BYTES = KVM_RUN_EXIT + 256;

const DECODERS: Readonly<Record<number, (data: Uint8Array) => VcpuExit>> = {
  [KVM_EXIT_IO]: (data) => {
    const { direction, size, port, count, data_offset } = exitData.io.decode(data);
    return { reason: 'io', write: direction === KVM_EXIT_IO_OUT, size, port, count, dataOffset: Number(data_offset) };
  },
  [KVM_EXIT_MMIO]: (data) => {
    const { phys_addr, data: bytes, len, is_write } = exitData.mmio.decode(data);
    const write = is_write !== 0;
    // A read's bytes are the caller's to fill in; what stands there is left over.
    return {
      reason: 'mmio',
      gpa: phys_addr,
      write,
      data: Uint8Array.from(write ? bytes.slice(0, len) : new Array(len).fill(0)),
    };
  },
  [KVM_EXIT_HYPERCALL]: hypercall,
  [KVM_EXIT_HLT]: () => ({ reason: 'hlt' }),
  [KVM_EXIT_SHUTDOWN]: () => ({ reason: 'shutdown' }),
  [KVM_EXIT_FAIL_ENTRY]: (data) => {
    const { hardware_entry_failure_reason, cpu } = exitData.fail_entry.decode(data);
    return { reason: 'fail-entry', hardwareReason: hardware_entry_failure_reason, cpu };
  },
  [KVM_EXIT_INTERNAL_ERROR]: (data) => {
    const { suberror, ndata, data: words } = exitData.internal.decode(data);
    return { reason: 'internal-error', suberror, data: words.slice(0, ndata) };
  },
  [KVM_EXIT_SYSTEM_EVENT]: (data) => {
    const { type, ndata, data: words } = exitData.system_event.decode(data);
    return { reason: 'system-event', type, data: words.slice(0, ndata) };
  },
};

function hypercall(data: Uint8Array): HypercallExit {
  const { nr, args } = exitData.hypercall.decode(data);
  if (nr !== KVM_HC_MAP_GPA_RANGE) return { reason: 'hypercall', nr, args };
  const [gpa, pages, attributes] = args as [bigint, bigint, bigint];
  const to = attributes & KVM_MAP_GPA_RANGE_ENCRYPTED ? 'private' : 'shared';
  return { reason: 'hypercall', nr, args, mapGpaRange: { gpa, size: pages << 12n, to } };
}

/**
 * What KVM_RUN's answer and the kvm_run area say together; undefined for a call that failed without an exit.
 * `run` must hold EXIT_BYTES.
 */
export function decodeExit(ret: number, run: Uint8Array): VcpuExit | undefined {
  if (ret === -errno.EINTR || ret === -errno.EAGAIN) return { reason: 'interrupted' };
  const { exit_reason } = kvm_run.decode(run);
  const data = run.subarray(KVM_RUN_EXIT);
  if (ret < 0) return exit_reason === KVM_EXIT_MEMORY_FAULT ? memoryFault(ret, data) : undefined;
  return DECODERS[exit_reason]?.(data) ?? { reason: 'other', exitReason: exit_reason };
}

function memoryFault(ret: number, data: Uint8Array): MemoryFaultExit {
  const { flags, gpa, size } = exitData.memory_fault.decode(data);
  return {
    reason: 'memory-fault',
    errno: ret,
    private: (flags & KVM_MEMORY_EXIT_FLAG_PRIVATE) !== 0n,
    flags,
    gpa,
    size,
  };
}

/** An exit in one line, for messages. */
export function describeExit(exit: VcpuExit): string {
  switch (exit.reason) {
    case 'memory-fault':
      return `memory-fault ${errnoName(exit.errno)} (${exit.private ? 'private' : 'shared'} access) at gpa 0x${exit.gpa.toString(16)}`;
    case 'mmio':
      return `mmio ${exit.write ? 'write' : 'read'} at gpa 0x${exit.gpa.toString(16)}`;
    case 'io':
      return `io ${exit.write ? 'out' : 'in'} port 0x${exit.port.toString(16)}`;
    case 'hypercall':
      return `hypercall ${exit.nr}`;
    case 'internal-error':
      return `internal-error, suberror ${exit.suberror}`;
    case 'fail-entry':
      return `fail-entry, hardware reason 0x${exit.hardwareReason.toString(16)}`;
    case 'system-event':
      return `system-event ${exit.type}`;
    case 'other':
      return `exit reason ${exit.exitReason}`;
    default:
      return exit.reason;
  }
}
