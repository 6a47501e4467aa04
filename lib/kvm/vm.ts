/** A virtual machine, as far as its memory is concerned. */

import { type CapabilityName, capabilities } from '../abi/capabilities.ts';
import { checkInteger, checkOneOf, checkOptions, checkU64, U64_MAX, wrongType, wrongValue } from '../abi/invalid.ts';
import type { Ioctl, IoctlOut } from '../abi/ioctl.ts';
import {
  KVM_CHECK_EXTENSION,
  KVM_CREATE_GUEST_MEMFD,
  KVM_ENABLE_CAP,
  KVM_MEMORY_ATTRIBUTE_PRIVATE,
  KVM_SET_MEMORY_ATTRIBUTES,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SET_USER_MEMORY_REGION2,
} from '../abi/kvm.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import {
  Bindings,
  type CreateGuestMemfdOptions,
  checkCreate,
  GuestMemfd,
  type PageState,
} from '../guest-memfd/index.ts';
import {
  type Context,
  checkPages,
  FdResource,
  type IoctlOutcome,
  type OwnedFd,
  prepareIoctl,
  type RawArg,
  type Result,
  recogniseDeath,
  success,
  UnsupportedError,
  unwrap,
  type VmType,
} from '../host/index.ts';
import { type CheckedRegion, checkRegion, MemoryRegion, type MemoryRegionOptions, slotId } from './memory-region.ts';
import { type RegionArgs, Slots, withRegionArgs } from './slots.ts';

export type MemoryAttributesOptions = {
  /** A guest-physical address, whole pages. */
  readonly address: number | bigint;
  /** Bytes, whole pages. */
  readonly size: number | bigint;
} & (
  | { readonly to: PageState; readonly attributes?: undefined }
  /** The kernel's own bits, which replace all attributes of the range. */
  | { readonly attributes: number | bigint; readonly to?: undefined }
);

const ONE_PAGE = BigInt(PAGE_SIZE);

/**
 * Made by `host.createVm()`. Once KVM has killed a VM it answers EIO to everything; that is a VmDeadError here.
 */
export class Vm extends FdResource {
  readonly type: VmType;
  readonly #slots: Slots;

  constructor(context: Context, handle: OwnedFd, type: VmType) {
    super(context, handle);
    this.type = type;
    this.#slots = new Slots(handle);
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
   * | ENOMEM | no memory; with huge pages (`rawFlags`), too few in the pool                        |
   *
   * Source: kvm_gmem_create(), virt/kvm/guest_memfd.c.
   *
   * ```ts
   * const gmem = await vm.createGuestMemfd({ size: 0x400000, mmap: true, initially: 'shared' });
   * ```
   *
   * @throws KernelError
   * @throws RangeError for a size that is no multiple of the page size
   * @throws UnsupportedError for shared memory that cannot be mapped where the dialect is `rfc-convert`
   */
  async createGuestMemfd(options: CreateGuestMemfdOptions): Promise<GuestMemfd> {
    return unwrap(await this.tryCreateGuestMemfd(options));
  }

  /** As `createGuestMemfd`, with the kernel's refusal as a value. */
  async tryCreateGuestMemfd(options: CreateGuestMemfdOptions): Promise<Result<GuestMemfd>> {
    const { size, flags } = checkCreate(options, this.context.features.dialect);
    return await this.create(async () => {
      const outcome = await this.#ask(KVM_CREATE_GUEST_MEMFD, { size, flags });
      if (!outcome.ok) return outcome;
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

const U32_MAX = 0xffff_ffff;

function capabilityNumber(capability: CapabilityName | number): number {
  if (typeof capability === 'number') return checkInteger('capability', capability, 0, U32_MAX);
  if (typeof capability !== 'string') throw wrongType('capability', 'a name or a number', capability);
  return capabilities[checkOneOf('capability', capability, Object.keys(capabilities) as CapabilityName[])].number;
}

function attributesOf({ to, attributes }: MemoryAttributesOptions): bigint {
  if ((to === undefined) === (attributes === undefined)) {
    throw wrongValue('options', 'given one of to and attributes', { to, attributes });
  }
  if (attributes !== undefined) return checkU64('options.attributes', attributes);
  return checkOneOf<PageState>('options.to', to, ['private', 'shared']) === 'private'
    ? KVM_MEMORY_ATTRIBUTE_PRIVATE
    : 0n;
}
