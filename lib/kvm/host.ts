/** The host with the objects it can make. */

import { checkOneOf, checkOptions } from '../abi/invalid.ts';
import { KVM_CREATE_VM } from '../abi/kvm.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import type { Mapping } from '../guest-memfd/index.ts';
import {
  checkHostOptions,
  chooseBackend,
  forcedDialect,
  HostCore,
  type HostOptions,
  type HugePagePool,
  issue,
  prepareIoctl,
  probeBackend,
  type Result,
  readHugePagePools,
  success,
  unwrap,
  type VmType,
  vmTypeNames,
  vmTypeNumbers,
} from '../host/index.ts';
import { type Iommufd, type MemoryOptions, tryIommufd, tryMemory, Vfio } from '../iommu/index.ts';
import { type GuestSupport, tryGuest } from './guest/index.ts';
import { type SevAttributes, sevAttributes } from './launch/sev-attributes.ts';
import { Vm } from './vm.ts';

/** Where the probe puts its page: anywhere but where the guest itself is. */
const PROBED = 0x1_0000_0000n;

export interface CreateVmOptions {
  /** Default: 'default'. The host's are in `features.vmTypes`. */
  readonly type?: VmType;
}

/** One kernel, real or mocked, and everything that is open on it. Made by `openHost()`. */
export class Host extends HostCore {
  #guestSupport: Promise<GuestSupport> | undefined;
  #vfio: Vfio | undefined;

  /**
   * Makes a VM, empty and not yet initialised: SEV and TDX have steps of their own after this.
   *
   * | errno  | meaning                                                                        |
   * |--------|--------------------------------------------------------------------------------|
   * | EINVAL | the host does not offer that type                                               |
   * | EBUSY  | another hypervisor owns the hardware                                            |
   * | ENOMEM | no memory                                                                       |
   * | EMFILE | too many open files                                                             |
   *
   * On architectures other than x86 there are no types, and only 'default' has a meaning.
   *
   * @throws KernelError, TypeError for an unknown type
   */
  async createVm(options: CreateVmOptions = {}): Promise<Vm> {
    return unwrap(await this.tryCreateVm(options));
  }

  /**
   * Opens /dev/iommu.
   *
   * | errno  | meaning                                             |
   * |--------|-----------------------------------------------------|
   * | ENOENT | the kernel has no iommufd (CONFIG_IOMMUFD)           |
   * | EACCES | it is root's by default                              |
   *
   * @throws KernelError
   */
  async iommufd(): Promise<Iommufd> {
    return unwrap(await this.tryIommufd());
  }

  /** As `iommufd`, with the kernel's refusal as a value. */
  async tryIommufd(): Promise<Result<Iommufd>> {
    this.handle.checkOpen();
    return await tryIommufd(this.context);
  }

  /** VFIO: the devices there are, and how to open them. */
  get vfio(): Vfio {
    this.handle.checkOpen();
    this.#vfio ??= new Vfio(this.context);
    return this.#vfio;
  }

  /** Memory of this process that belongs to no guest, zeroed, for devices to read and write. @throws KernelError ENOMEM */
  async memory(options: MemoryOptions): Promise<Mapping> {
    return unwrap(await this.tryMemory(options));
  }

  /** As `memory`, with the kernel's refusal as a value. */
  async tryMemory(options: MemoryOptions): Promise<Result<Mapping>> {
    this.handle.checkOpen();
    return await tryMemory(this.context, options);
  }

  /**
   * Whether guest code runs here, found out by running some; asked once. Where KVM itself runs in a virtual machine,
   * vCPUs can be made that never get anywhere.
   */
  async guestSupport(): Promise<GuestSupport> {
    this.handle.checkOpen();
    if (this.mock) return this.features.guest;
    this.#guestSupport ??= this.#askGuest();
    const guest = await this.#guestSupport.catch((error: unknown) => {
      // Too many open files, say, is no answer to keep.
      this.#guestSupport = undefined;
      throw error;
    });
    this.learn(Object.freeze({ ...this.features, guest }));
    return guest;
  }

  /**
   * The pools of huge pages, of every size the kernel has: what `hugePageSize` of a guest_memfd takes from.
   * Source: /sys/kernel/mm/hugepages.
   */
  async hugePagePools(): Promise<HugePagePool[]> {
    return await this.handle.use(() => readHugePagePools(this.context.syscalls));
  }

  /**
   * What KVM offers to guests of SEV, SEV-ES and SEV-SNP here: features of their VMSA, bits of their policy.
   * Source: sev_dev_get_attr(), arch/x86/kvm/svm/sev.c.
   *
   * @throws KernelError
   */
  async sevAttributes(): Promise<SevAttributes> {
    return unwrap(await this.trySevAttributes());
  }

  /** As `sevAttributes`, with the kernel's refusal as a value. */
  async trySevAttributes(): Promise<Result<SevAttributes>> {
    return await this.handle.use(() => sevAttributes(this.context, this.systemFd));
  }

  async #askGuest(): Promise<GuestSupport> {
    await using vm = await this.createVm();
    const made = await vm.tryCreateGuest();
    if (!made.ok) return { available: false, why: made.error.message };
    await using guest = made.value;
    const initially = this.features.initShared ? 'shared' : 'private';
    await using gmem = await vm.createGuestMemfd({ size: PAGE_SIZE, mmap: this.features.mmap, initially });
    await vm.setMemoryRegion({ slot: 0, guestPhysAddr: PROBED, size: PAGE_SIZE, gmem });
    return await tryGuest(guest, PROBED);
  }

  /** As `createVm`, with the kernel's refusal as a value. */
  async tryCreateVm(options: CreateVmOptions = {}): Promise<Result<Vm>> {
    checkOptions('options', options, ['type']);
    const { type = 'default' } = options;
    checkOneOf('options.type', type, vmTypeNames);
    return await this.handle.use(async () => {
      const { context, fd } = { context: this.context, fd: this.systemFd };
      const outcome = await issue(context.syscalls, fd, prepareIoctl(fd, KVM_CREATE_VM, vmTypeNumbers[type]));
      return outcome.ok ? success(new Vm(context, context.own('Vm', outcome.ret), { type, system: fd })) : outcome;
    });
  }
}

/**
 * Opens a host: a real kernel if one can be reached, else the mock; or the backend asked for by name.
 * `host.reason` says why that one. A probe on throw-away VMs then finds out what it can do (`host.features`).
 *
 * ```ts
 * await using host = await openHost();
 * await using mock = await openHost({ backend: 'mock', kernel: 'rfc-v2', platform: 'tdx' });
 * ```
 *
 * @throws BackendUnavailableError when a backend asked for by name cannot work here; the message says why and what to do
 * @throws KernelError when /dev/kvm opens and then no VM can be made
 * @throws TypeError for unknown options, and for kernel, platform or memory without `backend: 'mock'`
 */
export async function openHost(options: HostOptions = {}): Promise<Host> {
  checkHostOptions(options);
  const forced = forcedDialect(options, process.env);
  return new Host(await probeBackend(await chooseBackend(options), forced));
}
