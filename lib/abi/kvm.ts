/**
 * /dev/kvm and VM ioctls. Source: include/uapi/linux/kvm.h of Linux 6.18 and 7.3.4, where not said otherwise.
 * To add an ioctl, declare it here or in `guest-memfd.ts`; nothing else in this folder needs a change.
 */

import { io, iow, iowr } from './ioctl.ts';
import { array, struct, u8, u32, u64 } from './struct.ts';

export const KVMIO = 0xae;

export const KVM_API_VERSION = 12;

export const KVM_GET_API_VERSION = io('system', KVMIO, 0x00, { returns: 'number' });
/** The argument is the machine type: KVM_X86_DEFAULT_VM and its siblings. */
export const KVM_CREATE_VM = io('system', KVMIO, 0x01, { returns: 'fd' });
/** The argument is a capability's number. On a VM fd the answer is that VM's; see KVM_CAP_CHECK_EXTENSION_VM. */
export const KVM_CHECK_EXTENSION = io(['system', 'vm'], KVMIO, 0x03, { returns: 'number' });

/** Machine types: arch/x86/include/uapi/asm/kvm.h. */
export const KVM_X86_DEFAULT_VM = 0;
export const KVM_X86_SW_PROTECTED_VM = 1;
export const KVM_X86_SEV_VM = 2;
export const KVM_X86_SEV_ES_VM = 3;
export const KVM_X86_SNP_VM = 4;
export const KVM_X86_TDX_VM = 5;

export const KVM_ENABLE_CAP = iow(
  'vm',
  KVMIO,
  0xa3,
  struct('kvm_enable_cap', { cap: u32, flags: u32, args: array(u64, 4), pad: array(u8, 64) }),
);

export const KVM_SET_USER_MEMORY_REGION = iow(
  'vm',
  KVMIO,
  0x46,
  struct('kvm_userspace_memory_region', {
    slot: u32,
    flags: u32,
    guest_phys_addr: u64,
    memory_size: u64,
    userspace_addr: u64,
  }),
  { capability: 'KVM_CAP_USER_MEMORY' },
);

export const KVM_SET_USER_MEMORY_REGION2 = iow(
  'vm',
  KVMIO,
  0x49,
  struct('kvm_userspace_memory_region2', {
    /** Low 16 bits: the slot; high 16 bits: the address space. */
    slot: u32,
    flags: u32,
    guest_phys_addr: u64,
    memory_size: u64,
    userspace_addr: u64,
    guest_memfd_offset: u64,
    guest_memfd: u32,
    pad1: u32,
    pad2: array(u64, 14),
  }),
  { capability: 'KVM_CAP_USER_MEMORY2', since: '6.8' },
);

export const KVM_MEM_LOG_DIRTY_PAGES = 1 << 0;
export const KVM_MEM_READONLY = 1 << 1;
export const KVM_MEM_GUEST_MEMFD = 1 << 2;

export const KVM_SET_MEMORY_ATTRIBUTES = iow(
  'vm',
  KVMIO,
  0xd2,
  struct('kvm_memory_attributes', { address: u64, size: u64, attributes: u64, flags: u64 }),
  { capability: 'KVM_CAP_MEMORY_ATTRIBUTES', since: '6.8', dialect: 'vm-attributes' },
);

export const KVM_MEMORY_ATTRIBUTE_PRIVATE = 1n << 3n;

export const KVM_CREATE_GUEST_MEMFD = iowr(
  'vm',
  KVMIO,
  0xd4,
  struct('kvm_create_guest_memfd', { size: u64, flags: u64, reserved: array(u64, 6) }),
  { returns: 'fd', capability: 'KVM_CAP_GUEST_MEMFD', since: '6.8' },
);

/** Pins of the I/O APIC, which userspace emulates with KVM_CAP_SPLIT_IRQCHIP. Source: arch/x86/include/uapi/asm/kvm.h. */
export const KVM_IOAPIC_NUM_PINS = 24;
