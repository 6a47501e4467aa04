/**
 * What to do about an errno. One row for each (request, errno) whose meaning strerror() does not tell.
 * `{errorOffset}` stands for the blocking page.
 *
 * Sources: virt/kvm/kvm_main.c and virt/kvm/guest_memfd.c of Linux 7.3.4, the RFC v2 patches 02, 04 and 38 for
 * KVM_GMEM_CONVERT_*, and v13 of "In-place conversion support" for KVM_SET_MEMORY_ATTRIBUTES2.
 */

import type { ErrnoName } from '../abi/errno.ts';
import type { Hint } from './hint.ts';
import { iommuHints } from './iommu-hints.ts';
import { launchHints } from './launch-hints.ts';

const CONVERSIONS = ['KVM_GMEM_CONVERT_SHARED', 'KVM_GMEM_CONVERT_PRIVATE'];
const REFERENCED =
  'the page at {errorOffset} is still referenced: drop what holds it (a pin, an IOMMU mapping, I/O in flight) and retry';
const NOTHING_CHANGED = 'the kernel is short of memory; nothing changed, and a retry is safe';

export const hints: readonly Hint[] = [
  { on: ['KVM_GMEM_CONVERT_PRIVATE', 'KVM_SET_MEMORY_ATTRIBUTES2'], code: 'EAGAIN', text: REFERENCED },
  {
    on: CONVERSIONS,
    code: 'EINVAL',
    text: 'offset and size must be page aligned and within the file, and error_offset 0 on entry (so zero it before a retry)',
  },
  {
    on: CONVERSIONS,
    code: 'ENOTTY',
    text: 'this kernel lacks the RFC v2 conversion ioctls, or the fd is no guest_memfd; see host.features.dialectProbes',
  },
  { on: CONVERSIONS, code: 'ENOMEM', text: NOTHING_CHANGED },
  {
    on: ['KVM_SET_MEMORY_ATTRIBUTES2'],
    code: 'EINVAL',
    text: "size must not be 0, the range page aligned and within the file, flags and reserved 0, attributes 0 or 8, and the VM's type one with private memory (host.features.convertible)",
  },
  {
    on: ['KVM_SET_MEMORY_ATTRIBUTES2'],
    code: 'ENOTTY',
    text: 'this kernel has no in-place conversion, or it is off (kvm.gmem_in_place_conversion), or the fd is no guest_memfd',
  },
  { on: ['KVM_SET_MEMORY_ATTRIBUTES2', 'KVM_SET_MEMORY_ATTRIBUTES'], code: 'ENOMEM', text: NOTHING_CHANGED },
  {
    on: ['KVM_SET_MEMORY_ATTRIBUTES'],
    code: 'EINVAL',
    text: "the range must be page aligned and not empty, flags 0, and the VM's type one with private memory (host.features.convertible); with in-place conversion on, KVM takes the private attribute on the guest_memfd only",
  },
  {
    on: ['KVM_SET_MEMORY_ATTRIBUTES'],
    code: 'ENOTTY',
    text: 'this kernel keeps no memory attributes per VM (CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES, later CONFIG_KVM_VM_MEMORY_ATTRIBUTES)',
  },
  {
    on: ['KVM_CREATE_GUEST_MEMFD'],
    code: 'EINVAL',
    text: 'size must be a multiple of the page size from 1 page to 2^63 - 1, and flags ones that this VM type takes; see host.features.createFlags',
  },
  {
    on: ['KVM_CREATE_GUEST_MEMFD'],
    code: 'ENOTTY',
    text: 'this kernel has no guest_memfd (Linux 6.8 with CONFIG_KVM_GUEST_MEMFD is the first)',
  },
  {
    on: ['KVM_CREATE_GUEST_MEMFD'],
    code: 'ENOMEM',
    text: 'for a huge page size: the pool has too few free pages (/sys/kernel/mm/hugepages); they are reserved at creation',
  },
  {
    on: ['KVM_CREATE_VM'],
    code: 'EINVAL',
    text: "this host does not offer that VM type; see host.features.vmTypes (TDX and SEV must be enabled in firmware and in the module's parameters)",
  },
  { on: ['KVM_CREATE_VM'], code: 'EBUSY', text: 'another hypervisor owns the virtualisation hardware' },
  {
    on: ['KVM_SET_USER_MEMORY_REGION', 'KVM_SET_USER_MEMORY_REGION2'],
    code: 'EEXIST',
    text: 'another slot covers part of these guest-physical addresses, or of this range of the guest_memfd',
  },
  {
    on: ['KVM_SET_USER_MEMORY_REGION', 'KVM_SET_USER_MEMORY_REGION2'],
    code: 'EINVAL',
    text: 'everything must be page aligned and within the file, the guest_memfd of this VM and without readonly or logDirtyPages; a slot with a guest_memfd can be deleted, not changed',
  },
  {
    on: ['KVM_SET_USER_MEMORY_REGION2'],
    code: 'EBADF',
    text: 'the guest_memfd was closed',
  },
  {
    on: ['KVM_ENABLE_CAP'],
    code: 'EINVAL',
    text: 'this capability cannot be enabled here, or not with these arguments',
  },
  {
    on: ['KVM_RUN'],
    code: 'EINVAL',
    text: 'a confidential VM runs once it is launched (vm.launch()); other VMs, where their registers make a legal state',
  },
  {
    on: ['KVM_GET_REGS', 'KVM_SET_REGS', 'KVM_GET_SREGS', 'KVM_SET_SREGS'],
    code: 'EINVAL',
    text: 'the state is no legal one, or it is sealed: a launched confidential guest shows and takes none',
  },
  { on: ['KVM_CREATE_VCPU'], code: 'EIO', text: 'a TD takes vCPUs after KVM_TDX_INIT_VM and before it is finalized' },
  ...launchHints,
  { on: ['mmap'], code: 'ENODEV', text: 'the guest_memfd was created without mmap: true' },
  {
    on: ['mmap'],
    code: 'EINVAL',
    text: 'where the guest_memfd has huge pages, a mapping must be as long as a multiple of them',
  },
  { on: ['mmap'], code: 'EPERM', text: 'guest_memfd cannot be mapped executable' },
  { on: ['mmap'], code: 'EACCES', text: 'the file was not opened for this access' },
  { on: ['fallocate'], code: 'EINVAL', text: 'the range must be page aligned, and to allocate also within the file' },
  { on: ['fallocate'], code: 'EINTR', text: 'a signal came; what was allocated stays, so issue it again' },
  {
    on: ['fallocate'],
    code: 'EOPNOTSUPP',
    text: 'guest_memfd allocates with KEEP_SIZE only, and knows no mode but PUNCH_HOLE',
  },
  {
    on: ['fallocate'],
    code: 'EAGAIN',
    text: 'a shared huge page in the range is still referenced: drop what holds it and retry; earlier parts are punched',
  },
  {
    on: ['open'],
    code: 'ENOENT',
    text: 'load KVM (modprobe kvm_intel or kvm_amd) and enable virtualisation in firmware; in a VM, nested virtualisation; in a container, pass the device (--device /dev/kvm)',
  },
  {
    on: ['open'],
    code: 'EACCES',
    text: 'add the user to the group that owns it (usermod -aG kvm USER, then log in again), or run as root',
  },
  {
    on: ['open'],
    code: 'EPERM',
    text: 'the device is not allowed in this container (--device /dev/kvm, or its device cgroup)',
  },
  { on: ['open'], code: 'ENXIO', text: 'the node is there but no driver is: modprobe kvm_intel or kvm_amd' },
  { on: ['open'], code: 'ENODEV', text: 'the node is there but no driver is: modprobe kvm_intel or kvm_amd' },
  ...iommuHints,
  { code: 'EMFILE', text: 'this process may open no more files: close some, or raise ulimit -n' },
  { code: 'ENFILE', text: 'the system has too many files open (sysctl fs.file-max)' },
  { code: 'ENOTTY', text: 'this kernel does not know the request on this kind of fd' },
  { code: 'EBADF', text: 'no file is open under that number' },
  { code: 'EFAULT', text: 'the kernel could not read or write the memory it was pointed to' },
];

/** The first row that fits; the general ones come last. */
export function hintFor(
  call: {
    readonly syscall: string;
    readonly request?: string;
    readonly command?: string;
    readonly errorOffset?: bigint;
  },
  code: ErrnoName,
): string | undefined {
  const name = call.command ?? call.request ?? call.syscall;
  const hint = hints.find((row) => row.code === code && (row.on === undefined || row.on.includes(name)));
  if (hint?.text.includes('{errorOffset}') && call.errorOffset === undefined) return undefined;
  return hint?.text.replace('{errorOffset}', `0x${call.errorOffset?.toString(16)}`);
}
