/** A mock with a VM, a guest_memfd, a mapping of it and a memslot, through the bare seam. */

import * as abi from '../../lib/abi/index.ts';
import { createMock, type MockOptions } from '../../lib/mock/index.ts';

export const GPA = 0x1_0000_0000n;
export const PAGE = abi.PAGE_SIZE;

export function boot(options: MockOptions & { type?: number; pages?: number; flags?: bigint } = {}) {
  const { type = abi.KVM_X86_SW_PROTECTED_VM, pages = 4, flags = 1n, ...mockOptions } = options;
  const mock = createMock(mockOptions);
  const { syscalls, controls } = mock;
  const kvm = syscalls.openSync('/dev/kvm', abi.O_RDWR);
  const vm = syscalls.ioctlFdSync(kvm, abi.KVM_CREATE_VM.request, type);
  const size = BigInt(pages * PAGE);
  const create = abi.KVM_CREATE_GUEST_MEMFD;
  const gmem = syscalls.ioctlFdSync(vm, create.request, create.struct.encode({ size, flags }));
  const address = syscalls.mmapSync(pages * PAGE, abi.PROT_READ | abi.PROT_WRITE, abi.MAP_SHARED, gmem, 0n);
  const region = abi.KVM_SET_USER_MEMORY_REGION2;
  const bound = syscalls.ioctlSync(
    vm,
    region.request,
    region.struct.encode({
      slot: 0,
      flags: abi.KVM_MEM_GUEST_MEMFD,
      guest_phys_addr: GPA,
      memory_size: size,
      userspace_addr: address,
      guest_memfd: gmem,
    }),
  );
  if (bound !== 0) throw new Error(`the memslot was refused: ${bound}`);

  /** Converts pages [first, first + count) by whichever ioctl the kernel has. */
  const convert = (first: number, count: number, to: 'shared' | 'private'): number => {
    const range = { offset: BigInt(first * PAGE), size: BigInt(count * PAGE) };
    if (controls.profile.conversion === 'rfc-convert') {
      const ioctl = to === 'shared' ? abi.KVM_GMEM_CONVERT_SHARED : abi.KVM_GMEM_CONVERT_PRIVATE;
      return syscalls.ioctlSync(gmem, ioctl.request, ioctl.struct.encode(range));
    }
    const attributes = to === 'shared' ? 0n : abi.KVM_MEMORY_ATTRIBUTE_PRIVATE;
    const ioctl = abi.KVM_SET_MEMORY_ATTRIBUTES2;
    return syscalls.ioctlSync(gmem, ioctl.request, ioctl.struct.encode({ ...range, attributes }));
  };
  const punch = (first: number, count: number): number =>
    syscalls.fallocateSync(gmem, 3, BigInt(first * PAGE), BigInt(count * PAGE));
  return { syscalls, controls, kvm, vm, gmem, address, convert, punch, guest: controls.guest(vm) };
}
