/** A virtual machine, as far as its memory is concerned. */

import type { CapabilityName } from '../abi/capabilities.ts';
import type { HugePageSize } from '../abi/huge-pages.ts';
import { checkOptions, U64_MAX, wrongValue } from '../abi/invalid.ts';
import type { Ioctl, IoctlOut } from '../abi/ioctl.ts';
import {
  KVM_CHECK_EXTENSION,
  KVM_CREATE_GUEST_MEMFD,
  KVM_ENABLE_CAP,
  KVM_SET_MEMORY_ATTRIBUTES,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SET_USER_MEMORY_REGION2,
} from '../abi/kvm.ts';
import { KVM_CREATE_DEVICE, KVM_DEV_TYPE_VFIO } from '../abi/kvm-device.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import { KVM_CREATE_VCPU } from '../abi/vcpu.ts';
import { Bindings, type CreateGuestMemfdOptions, checkCreate, GuestMemfd } from '../guest-memfd/index.ts';
import {
  type Context,
  checkPages,
  type Failure,
  FdResource,
  failed,
  type IoctlOutcome,
  type OwnedFd,
  poolHint,
  prepareIoctl,
  type RawArg,
  type Result,
  recogniseDeath,
  success,
  UnsupportedError,
  unwrap,
  type VmType,
} from '../host/index.ts';
import { type CreateGuestOptions, createGuest, type Guest } from './guest/index.ts';
import { type CheckedRegion, checkRegion, MemoryRegion, type MemoryRegionOptions, slotId } from './memory-region.ts';
import { type RegionArgs, Slots, withRegionArgs } from './slots.ts';
import { startVcpu } from './start-vcpu.ts';
import { checkVcpuId, type Vcpu } from './vcpu.ts';
import { VmVfio } from './vfio.ts';
import { attributesOf, type CreateVcpuOptions, capabilityNumber, type MemoryAttributesOptions } from './vm-options.ts';

const ONE_PAGE = BigInt(PAGE_SIZE);

/** A pool that is too small is said to be so. */
function explained(refusal: Failure, hugePageSize: HugePageSize | undefined, size: bigint): Failure {
  if (refusal.code !== 'ENOMEM' || hugePageSize === undefined) return refusal;
  return failed(refusal.error.with({ hint: poolHint(hugePageSize, size) }));
}

/**
 * Made by `host.createVm()`. Once KVM has killed a VM it answers EIO to everything; that is a VmDeadError here.
 */
export class Vm extends FdResource {
  readonly type: VmType;
  readonly #system: number;
  readonly #slots: Slots;

  /** `system`: the fd of /dev/kvm. */
  constructor(context: Context, handle: OwnedFd, { type, system }: { type: VmType; system: number }) {
    super(context, handle);
    this.type = type;
    this.#system = system;
    this.#slots = new Slots(handle);
  }

  /** @internal */
  static internals(vm: Vm): { context: Context; handle: OwnedFd; system: number } {
    return { context: vm.context, handle: vm.handle, system: vm.#system };
  }

  /**
   * KVM_CHECK_EXTENSION on this VM: 0 when the capability is missing, else a number whose meaning is the capability's.
   * What a VM answers can differ from what the host does (`features.capabilities`). Numbers are shared between
   * unreleased series and other architectures, so a number that is not 0 proves nothing by itself.
   *
   * @throws KernelError, TypeError for an unknown name
   */
  async checkExtension(capability: CapabilityName | number): Promise<number> {
    return unwrap(await this.tryCheckExtension(capability));
  }

  /** As `checkExtension`, with the kernel's refusal as a value. */
  async tryCheckExtension(capability: CapabilityName | number): Promise<Result<number>> {
    const outcome = await this.#ask(KVM_CHECK_EXTENSION, capabilityNumber(capability));
    return outcome.ok ? success(outcome.ret) : outcome;
  }

  /**
   * KVM_ENABLE_CAP.
   *
   * | errno  | meaning                                                             |
   * |--------|---------------------------------------------------------------------|
   * | EINVAL | the capability cannot be enabled, or not with these arguments        |
   *
   * @param args At most four 64-bit numbers; what they mean is the capability's.
   * @throws KernelError, TypeError for an unknown name
   */
  async enableCap(
    capability: CapabilityName | number,
    args: readonly (number | bigint)[] = [],
    flags = 0,
  ): Promise<void> {
    unwrap(await this.tryEnableCap(capability, args, flags));
  }

  /** As `enableCap`, with the kernel's refusal as a value. */
  async tryEnableCap(
    capability: CapabilityName | number,
    args: readonly (number | bigint)[] = [],
    flags = 0,
  ): Promise<Result<void>> {
    const cap = capabilityNumber(capability);
    const outcome = await this.#ask(KVM_ENABLE_CAP, { cap, flags, args });
    return outcome.ok ? success(undefined) : outcome;
  }

  /**
   * Makes a guest_memfd. What is wished for is translated into the flags of the kernel's dialect, where equal bits
   * mean opposite things.
   *
   * | errno  | meaning                                                                            |
   * |--------|------------------------------------------------------------------------------------|
   * | EINVAL | this VM type does not take the flags (`features.createFlags`)                       |
   * | ENOTTY | the kernel has no guest_memfd                                                       |
   * | EMFILE | too many open files                                                                 |
   * | ENOMEM | no memory; with `hugePageSize`, too few of them in the pool (`host.hugePagePools()`)  |
   *
   * Source: kvm_gmem_create(), virt/kvm/guest_memfd.c.
   *
   * ```ts
   * const gmem = await vm.createGuestMemfd({ size: 0x400000, mmap: true, initially: 'shared' });
   * ```
   *
   * @throws KernelError
   * @throws RangeError for a size that is no multiple of the page size, or of `hugePageSize`
   * @throws UnsupportedError for shared memory that cannot be mapped where the dialect is `rfc-convert`, and for huge
   *   pages where it is another
   */
  async createGuestMemfd(options: CreateGuestMemfdOptions): Promise<GuestMemfd> {
    return unwrap(await this.tryCreateGuestMemfd(options));
  }

  /** As `createGuestMemfd`, with the kernel's refusal as a value. */
  async tryCreateGuestMemfd(options: CreateGuestMemfdOptions): Promise<Result<GuestMemfd>> {
    const { size, flags } = checkCreate(options, this.context.features.dialect);
    return await this.create(async () => {
      const outcome = await this.#ask(KVM_CREATE_GUEST_MEMFD, { size, flags });
      if (!outcome.ok) return explained(outcome, options.hugePageSize, size);
      const handle = this.context.own('GuestMemfd', outcome.ret);
      return success(new GuestMemfd(this.context, handle, { size, flags, bindings: new Bindings() }));
    });
  }

  /**
   * Sets a memory region (memslot): where guest-physical memory comes from.
   *
   * | errno  | meaning                                                                                             |
   * |--------|-----------------------------------------------------------------------------------------------------|
   * | EEXIST | another slot has these guest addresses, or (EINVAL on older kernels) this range of the guest_memfd  |
   * | EINVAL | out of range, or not the VM's guest_memfd, or a change to a slot that has one; with RFC v2 also: `userspaceAddr` is neither 0 nor a mapping of the same range of the file |
   * | EBADF  | the guest_memfd's descriptor is not open                                                              |
   * | ENOMEM | no memory                                                                                            |
   *
   * Source: kvm_set_memory_region(), virt/kvm/kvm_main.c.
   *
   * @throws KernelError
   * @throws RangeError for addresses and sizes that are not whole pages
   * @throws UnsupportedError for a gmem on a kernel without KVM_CAP_USER_MEMORY2
   */
  async setMemoryRegion(options: MemoryRegionOptions): Promise<MemoryRegion> {
    return unwrap(await this.trySetMemoryRegion(options));
  }

  /** As `setMemoryRegion`, with the kernel's refusal as a value. */
  async trySetMemoryRegion(options: MemoryRegionOptions): Promise<Result<MemoryRegion>> {
    const region = checkRegion(options);
    this.#checkPossible(region);
    const outcome = await withRegionArgs(region, (args) => this.#setRegion(args));
    if (!outcome.ok) return outcome;
    const slot = this.#slots.remember(region);
    return success(
      new MemoryRegion(region, {
        isCurrent: () => slot.current,
        isVmClosed: () => this.closed,
        remove: () => this.tryDeleteMemoryRegion(region.slot, region.addressSpace),
      }),
    );
  }

  /** Deletes the memory region in a slot. @throws KernelError EINVAL when the slot is empty */
  async deleteMemoryRegion(slot: number, addressSpace = 0): Promise<void> {
    unwrap(await this.tryDeleteMemoryRegion(slot, addressSpace));
  }

  /** As `deleteMemoryRegion`, with the kernel's refusal as a value. */
  async tryDeleteMemoryRegion(slot: number, addressSpace = 0): Promise<Result<void>> {
    const id = slotId(slot, addressSpace);
    // A size of 0 is how the kernel is told.
    const outcome = await this.#setRegion({ slot: id });
    if (!outcome.ok) return outcome;
    this.#slots.forget(id);
    return success(undefined);
  }

  /**
   * Makes a vCPU that has what this host's CPU can offer (KVM_GET_SUPPORTED_CPUID). It starts as hardware leaves
   * reset: in real mode, at 0xfffffff0.
   *
   * | errno  | meaning                                                       |
   * |--------|---------------------------------------------------------------|
   * | EEXIST | the id is taken                                                |
   * | EINVAL | the id is too large, or there are as many vCPUs as there may be |
   * | EMFILE | too many open files                                            |
   *
   * @throws KernelError
   */
  async createVcpu(options: CreateVcpuOptions = {}): Promise<Vcpu> {
    return unwrap(await this.tryCreateVcpu(options));
  }

  /** As `createVcpu`, with the kernel's refusal as a value. */
  async tryCreateVcpu(options: CreateVcpuOptions = {}): Promise<Result<Vcpu>> {
    const { id = 0 } = checkOptions<CreateVcpuOptions>('options', options, ['id']);
    checkVcpuId(id);
    return await this.create(async () => {
      const outcome = await this.#ask(KVM_CREATE_VCPU, id);
      if (!outcome.ok) return outcome;
      return await startVcpu(this.context, { system: this.#system, vm: this.handle, vcpu: outcome.ret, id });
    });
  }

  /**
   * Puts a guest into the VM that reads and writes guest-physical memory on request. It needs a memory region for
   * itself, vCPUs, whose ids are the lowest that no vCPU of the VM ever had, and CPUs on which KVM can run guest code
   * (`host.guestSupport()`).
   *
   * ```ts
   * await using guest = await vm.createGuest();
   * const seen = await guest.read(0x1_0000_0000n, 16);
   * ```
   *
   * @throws KernelError as `setMemoryRegion` and `createVcpu`
   */
  async createGuest(options: CreateGuestOptions = {}): Promise<Guest> {
    return unwrap(await this.tryCreateGuest(options));
  }

  /** As `createGuest`, with the kernel's refusal as a value. */
  async tryCreateGuest(options: CreateGuestOptions = {}): Promise<Result<Guest>> {
    this.handle.checkOpen();
    return await createGuest(this, this.context, options);
  }

  /**
   * KVM_SET_MEMORY_ATTRIBUTES: whether KVM takes guest-physical addresses for private or shared. For the kernels whose
   * dialect is `vm-attributes`; elsewhere the state belongs to the guest_memfd (`gmem.convert`).
   *
   * | errno  | meaning                                                                              |
   * |--------|--------------------------------------------------------------------------------------|
   * | EINVAL | the VM has no private memory, or the kernel converts in place                         |
   * | ENOTTY | the kernel keeps no attributes per VM                                                 |
   * | ENOMEM | no memory; nothing changed                                                            |
   *
   * Source: kvm_vm_ioctl_set_mem_attributes(), virt/kvm/kvm_main.c.
   *
   * @throws KernelError, and RangeError for a range that is empty or not page aligned
   */
  async setMemoryAttributes(options: MemoryAttributesOptions): Promise<void> {
    unwrap(await this.trySetMemoryAttributes(options));
  }

  /** As `setMemoryAttributes`, with the kernel's refusal as a value. */
  async trySetMemoryAttributes(options: MemoryAttributesOptions): Promise<Result<void>> {
    checkOptions('options', options, ['address', 'size', 'to', 'attributes']);
    const address = checkPages('options.address', options.address, 0n, U64_MAX);
    const size = checkPages('options.size', options.size, ONE_PAGE, U64_MAX);
    const attributes = attributesOf(options);
    const outcome = await this.#ask(KVM_SET_MEMORY_ATTRIBUTES, { address, size, attributes });
    return outcome.ok ? success(undefined) : outcome;
  }

  /**
   * KVM's VFIO device: tells KVM which VFIO devices belong to the VM. A VM has one at most.
   *
   * | errno  | meaning                                      |
   * |--------|----------------------------------------------|
   * | EBUSY  | the VM has one already                        |
   * | ENODEV | the kernel has none (CONFIG_KVM_VFIO)         |
   *
   * @throws KernelError
   */
  async vfio(): Promise<VmVfio> {
    return unwrap(await this.tryVfio());
  }

  /** As `vfio`, with the kernel's refusal as a value. */
  async tryVfio(): Promise<Result<VmVfio>> {
    return await this.create(async () => {
      const outcome = await this.#ask(KVM_CREATE_DEVICE, { type: KVM_DEV_TYPE_VFIO });
      return outcome.ok ? success(new VmVfio(this.context, this.context.own('VmVfio', outcome.out.fd))) : outcome;
    });
  }

  async #ask<I extends Ioctl>(ioctl: I, args: RawArg<I>): Promise<IoctlOutcome<IoctlOut<I>>> {
    const { syscalls } = this.context;
    const { number } = this.handle;
    this.handle.enter();
    try {
      const { call, request, arg, finish } = prepareIoctl(number, ioctl, args);
      const outcome = finish(await syscalls[call](number, request, arg));
      return outcome.ok ? outcome : await recogniseDeath(syscalls, number, outcome);
    } finally {
      this.handle.leave();
    }
  }

  #setRegion(args: RegionArgs): Promise<IoctlOutcome<unknown>> {
    return this.#ask(
      this.context.features.userMemory2 ? KVM_SET_USER_MEMORY_REGION2 : KVM_SET_USER_MEMORY_REGION,
      args as RawArg<typeof KVM_SET_USER_MEMORY_REGION>,
    );
  }

  #checkPossible({ gmem }: CheckedRegion): void {
    if (!gmem) return;
    if (!this.context.features.userMemory2) {
      throw new UnsupportedError(
        'this kernel has no KVM_SET_USER_MEMORY_REGION2, which a guest_memfd needs (Linux 6.8)',
      );
    }
    if (GuestMemfd.internals(gmem).context !== this.context)
      throw wrongValue('options.gmem', 'made on the same host', gmem);
  }
}
