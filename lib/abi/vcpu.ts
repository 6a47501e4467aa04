/**
 * vCPU ioctls and the kvm_run area that KVM_RUN and its caller share.
 * Source: include/uapi/linux/kvm.h and arch/x86/include/uapi/asm/kvm.h of Linux 6.18 and 7.3.4.
 */

import { io, ior, iow, iowr } from './ioctl.ts';
import { KVMIO } from './kvm.ts';
import { array, struct, u8, u16, u32, u64 } from './struct.ts';

/** How many bytes of a vCPU fd to map: kvm_run and what follows it. */
export const KVM_GET_VCPU_MMAP_SIZE = io('system', KVMIO, 0x04, { returns: 'number' });
/** The argument is the vCPU's id. */
export const KVM_CREATE_VCPU = io('vm', KVMIO, 0x41, { returns: 'fd' });
/** Runs the guest until it exits; may block without bound. What happened stands in kvm_run. */
export const KVM_RUN = io('vcpu', KVMIO, 0x80);

const kvm_regs = struct('kvm_regs', {
  rax: u64,
  rbx: u64,
  rcx: u64,
  rdx: u64,
  rsi: u64,
  rdi: u64,
  rsp: u64,
  rbp: u64,
  r8: u64,
  r9: u64,
  r10: u64,
  r11: u64,
  r12: u64,
  r13: u64,
  r14: u64,
  r15: u64,
  rip: u64,
  rflags: u64,
});

export const KVM_GET_REGS = ior('vcpu', KVMIO, 0x81, kvm_regs);
export const KVM_SET_REGS = iow('vcpu', KVMIO, 0x82, kvm_regs);

const kvm_segment = struct('kvm_segment', {
  base: u64,
  limit: u32,
  selector: u16,
  type: u8,
  present: u8,
  dpl: u8,
  db: u8,
  s: u8,
  l: u8,
  g: u8,
  avl: u8,
  unusable: u8,
  padding: u8,
});

const kvm_dtable = struct('kvm_dtable', { base: u64, limit: u16, padding: array(u16, 3) });

const kvm_sregs = struct('kvm_sregs', {
  cs: kvm_segment,
  ds: kvm_segment,
  es: kvm_segment,
  fs: kvm_segment,
  gs: kvm_segment,
  ss: kvm_segment,
  tr: kvm_segment,
  ldt: kvm_segment,
  gdt: kvm_dtable,
  idt: kvm_dtable,
  cr0: u64,
  cr2: u64,
  cr3: u64,
  cr4: u64,
  cr8: u64,
  efer: u64,
  apic_base: u64,
  interrupt_bitmap: array(u64, 4),
});

export const KVM_GET_SREGS = ior('vcpu', KVMIO, 0x83, kvm_sregs);
export const KVM_SET_SREGS = iow('vcpu', KVMIO, 0x84, kvm_sregs);

/** Followed by `nent` entries of KVM_CPUID_ENTRY_BYTES each, so it is passed as bytes. */
export const kvm_cpuid2 = struct('kvm_cpuid2', { nent: u32, padding: u32 });

export const KVM_CPUID_ENTRY_BYTES = 40;

/** What guests of this host may be shown. E2BIG when there are more entries than there is room for. */
export const KVM_GET_SUPPORTED_CPUID = iowr('system', KVMIO, 0x05, kvm_cpuid2);
/** What this vCPU's CPUID answers, and with it which modes it has: none, 64-bit mode included, until this is called. */
export const KVM_SET_CPUID2 = iow('vcpu', KVMIO, 0x90, kvm_cpuid2);

const kvm_mp_state = struct('kvm_mp_state', { mp_state: u32 });

export const KVM_GET_MP_STATE = ior('vcpu', KVMIO, 0x98, kvm_mp_state, { capability: 'KVM_CAP_MP_STATE' });
export const KVM_SET_MP_STATE = iow('vcpu', KVMIO, 0x99, kvm_mp_state, { capability: 'KVM_CAP_MP_STATE' });

export const KVM_MP_STATE_RUNNABLE = 0;
export const KVM_MP_STATE_UNINITIALIZED = 1;
export const KVM_MP_STATE_HALTED = 3;

/** Populates a range; gpa and size are moved past what was done, also when it stops early. */
export const KVM_PRE_FAULT_MEMORY = iowr(
  'vcpu',
  KVMIO,
  0xd5,
  struct('kvm_pre_fault_memory', { gpa: u64, size: u64, flags: u64, padding: array(u64, 5) }),
  { capability: 'KVM_CAP_PRE_FAULT_MEMORY', since: '6.11' },
);

/** The fixed part of kvm_run; the exit's own part begins at KVM_RUN_EXIT. */
export const kvm_run = struct('kvm_run', {
  request_interrupt_window: u8,
  /** Set to 1, KVM_RUN returns EINTR before it enters the guest. */
  immediate_exit: u8,
  padding1: array(u8, 6),
  exit_reason: u32,
  ready_for_interrupt_injection: u8,
  if_flag: u8,
  flags: u16,
  cr8: u64,
  apic_base: u64,
});

/** Where the union of exit data begins in kvm_run. */
export const KVM_RUN_EXIT = kvm_run.size;

export const KVM_EXIT_UNKNOWN = 0;
export const KVM_EXIT_IO = 2;
export const KVM_EXIT_HYPERCALL = 3;
export const KVM_EXIT_HLT = 5;
export const KVM_EXIT_MMIO = 6;
export const KVM_EXIT_SHUTDOWN = 8;
export const KVM_EXIT_FAIL_ENTRY = 9;
export const KVM_EXIT_INTR = 10;
export const KVM_EXIT_INTERNAL_ERROR = 17;
export const KVM_EXIT_SYSTEM_EVENT = 24;
/** A vCPU touched memory that could not be given to it; KVM_RUN itself answers EFAULT or EHWPOISON. */
export const KVM_EXIT_MEMORY_FAULT = 39;

/** kvm_run.memory_fault.flags: the access was to private memory. */
export const KVM_MEMORY_EXIT_FLAG_PRIVATE = 1n << 3n;

export const KVM_EXIT_IO_IN = 0;
export const KVM_EXIT_IO_OUT = 1;

/** What kvm_run holds for each exit, at KVM_RUN_EXIT. */
export const exitData = {
  io: struct('kvm_run.io', { direction: u8, size: u8, port: u16, count: u32, data_offset: u64 }),
  mmio: struct('kvm_run.mmio', { phys_addr: u64, data: array(u8, 8), len: u32, is_write: u8 }),
  hypercall: struct('kvm_run.hypercall', { nr: u64, args: array(u64, 6), ret: u64, flags: u64 }),
  fail_entry: struct('kvm_run.fail_entry', { hardware_entry_failure_reason: u64, cpu: u32 }),
  internal: struct('kvm_run.internal', { suberror: u32, ndata: u32, data: array(u64, 16) }),
  system_event: struct('kvm_run.system_event', { type: u32, ndata: u32, data: array(u64, 16) }),
  memory_fault: struct('kvm_run.memory_fault', { flags: u64, gpa: u64, size: u64 }),
} as const;

/** include/uapi/linux/kvm_para.h: the guest asks for a range to become shared or private. */
export const KVM_HC_MAP_GPA_RANGE = 12n;
/** In the hypercall's third argument: to private. */
export const KVM_MAP_GPA_RANGE_ENCRYPTED = 1n << 4n;
