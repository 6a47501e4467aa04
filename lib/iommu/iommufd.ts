/** /dev/iommu: the file on which address spaces and page tables live. */

import { checkInteger, checkOneOf, checkOptions, wrongType, wrongValue } from '../abi/invalid.ts';
import type { Ioctl, IoctlOut } from '../abi/ioctl.ts';
import {
  IOMMU_DESTROY,
  IOMMU_GET_HW_INFO,
  IOMMU_HWPT_ALLOC,
  IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
  IOMMU_HWPT_ALLOC_NEST_PARENT,
  IOMMU_IOAS_ALLOC,
  IOMMU_IOAS_CHANGE_PROCESS,
  IOMMU_OPTION_RLIMIT_MODE,
  IOMMU_VFIO_IOAS,
  IOMMU_VFIO_IOAS_CLEAR,
  IOMMU_VFIO_IOAS_GET,
  IOMMU_VFIO_IOAS_SET,
} from '../abi/iommufd.ts';
import {
  type Context,
  FdResource,
  failure,
  type IoctlOutcome,
  issue,
  type OwnedFd,
  prepareIoctl,
  type RawArg,
  type Result,
  success,
  unwrap,
} from '../host/index.ts';
import { VfioContainer } from './container.ts';
import { Hwpt } from './hwpt.ts';
import { Ioas } from './ioas.ts';
import { askOption, tellOption } from './iommufd-options.ts';
import { handleOf } from './object.ts';
import { IommufdState } from './state.ts';
import { IommufdTest } from './test-driver.ts';
import { tryClose } from './try-close.ts';

/** A device that is bound to an iommufd: a VfioDevice, a mock device, or its number there. */
export type DeviceLike = number | { readonly deviceId: number | undefined };

export interface HwptOptions {
  /** The device whose IOMMU it is for. */
  readonly device: DeviceLike;
  /** The IOAS it shows, or the page table it is nested in. */
  readonly on: Ioas | Hwpt;
  /** Notes which pages are written to. Default: false. */
  readonly dirtyTracking?: boolean;
  /** Others can be nested in it. Default: false. */
  readonly nestParent?: boolean;
}

export interface HwInfo {
  /** IOMMU_HW_INFO_TYPE_*. */
  readonly type: number;
  /** IOMMU_HW_CAP_*. */
  readonly capabilities: bigint;
  readonly maxPasidLog2: number;
  /** What it means is the type's. */
  readonly data: Uint8Array;
}

/** By whom locked pages are counted: for the user, over all processes, or for the process. */
export type RlimitMode = 'user' | 'process';

const U32_MAX = 0xffff_ffff;
/** More than any IOMMU has told so far (SMMUv3: 40 bytes). */
const HW_INFO_ROOM = 256;

export function deviceId(what: string, device: DeviceLike): number {
  const id: unknown = typeof device === 'object' && device !== null ? device.deviceId : device;
  if (typeof id !== 'number') throw wrongType(what, 'a device that is bound to the iommufd, or its id', device);
  return checkInteger(what, id, 0, U32_MAX);
}

/** Made by `host.iommufd()`. */
export class Iommufd extends FdResource {
  readonly #state: IommufdState;
  /** Mock domains and accesses, on a kernel with CONFIG_IOMMUFD_TEST. */
  declare readonly test: IommufdTest;

  constructor(context: Context, handle: OwnedFd) {
    super(context, handle);
    this.#state = new IommufdState(context, handle);
    Object.defineProperty(this, 'test', { value: new IommufdTest(this.#state) });
  }

  /** Makes an address space, empty. @throws KernelError */
  async allocIoas(): Promise<Ioas> {
    return unwrap(await this.tryAllocIoas());
  }

  /** As `allocIoas`, with the kernel's refusal as a value. */
  async tryAllocIoas(): Promise<Result<Ioas>> {
    return await this.create(async () => {
      const outcome = await this.#ask(IOMMU_IOAS_ALLOC, {});
      if (!outcome.ok) return outcome;
      return success(new Ioas(this.context, this.#state.own('Ioas', outcome.out.out_ioas_id)));
    });
  }

  /**
   * Makes a page table for a device. Attaching a device to an IOAS makes one by itself; this is for what that one
   * cannot do.
   *
   * | errno      | meaning                                                                       |
   * |------------|-------------------------------------------------------------------------------|
   * | ENOENT     | there is no such device                                                       |
   * | EINVAL     | `on` is gone, or cannot be a parent                                           |
   * | EOPNOTSUPP | the IOMMU has no dirty tracking, or no nesting                                |
   * | EADDRINUSE | something is mapped in the IOAS that this device cannot reach                 |
   *
   * Source: iommufd_hwpt_alloc(), drivers/iommu/iommufd/hw_pagetable.c.
   *
   * @throws KernelError
   */
  async allocHwpt(options: HwptOptions): Promise<Hwpt> {
    return unwrap(await this.tryAllocHwpt(options));
  }

  /** As `allocHwpt`, with the kernel's refusal as a value. */
  async tryAllocHwpt(options: HwptOptions): Promise<Result<Hwpt>> {
    const { dev_id, flags, on } = this.#checkHwpt(options);
    return await this.create(() =>
      on.handle.use(async () => {
        const outcome = await this.#ask(IOMMU_HWPT_ALLOC, { dev_id, flags, pt_id: on.handle.id });
        if (!outcome.ok) return outcome;
        return success(new Hwpt(this.context, this.#state.own('Hwpt', outcome.out.out_hwpt_id)));
      }),
    );
  }

  /**
   * What the IOMMU of a device is and can do.
   *
   * | errno      | meaning                              |
   * |------------|--------------------------------------|
   * | ENOENT     | there is no such device              |
   * | EOPNOTSUPP | the device has no IOMMU (noiommu)    |
   *
   * Source: iommufd_get_hw_info(), drivers/iommu/iommufd/device.c.
   *
   * @throws KernelError
   */
  async hwInfo(device: DeviceLike): Promise<HwInfo> {
    return unwrap(await this.tryHwInfo(device));
  }

  /** As `hwInfo`, with the kernel's refusal as a value. */
  async tryHwInfo(device: DeviceLike): Promise<Result<HwInfo>> {
    const data = new Uint8Array(HW_INFO_ROOM);
    const args = { dev_id: deviceId('device', device), data_len: data.byteLength, data_uptr: data };
    const outcome = await this.#ask(IOMMU_GET_HW_INFO, args);
    if (!outcome.ok) return outcome;
    const { out_data_type, out_capabilities, out_max_pasid_log2, data_len } = outcome.out;
    return success({
      type: out_data_type,
      capabilities: out_capabilities,
      maxPasidLog2: out_max_pasid_log2,
      data: data.subarray(0, data_len),
    });
  }

  /** For whom locked pages are counted. Default: the user. @throws KernelError */
  async rlimitMode(): Promise<RlimitMode> {
    return unwrap(await this.tryRlimitMode());
  }

  /** As `rlimitMode`, with the kernel's refusal as a value. */
  async tryRlimitMode(): Promise<Result<RlimitMode>> {
    const answer = await askOption(this.#state, IOMMU_OPTION_RLIMIT_MODE, 0);
    return answer.ok ? success(answer.value === 0n ? 'user' : 'process') : answer;
  }

  /**
   * Sets what `rlimitMode` tells.
   *
   * | errno | meaning                               |
   * |-------|---------------------------------------|
   * | EPERM | it takes CAP_SYS_RESOURCE             |
   * | EBUSY | something was made on it already      |
   *
   * @throws KernelError
   */
  async setRlimitMode(mode: RlimitMode): Promise<void> {
    unwrap(await this.trySetRlimitMode(mode));
  }

  /** As `setRlimitMode`, with the kernel's refusal as a value. */
  async trySetRlimitMode(mode: RlimitMode): Promise<Result<void>> {
    checkOneOf<RlimitMode>('mode', mode, ['user', 'process']);
    return await tellOption(this.#state, IOMMU_OPTION_RLIMIT_MODE, 0, mode === 'process' ? 1n : 0n);
  }

  /**
   * The same file as a VFIO container, whose requests it answers too: on the IOAS of `setVfioIoas`, or the one that
   * adding a group makes. It is closed on its own.
   *
   * @throws KernelError EMFILE
   */
  async vfioContainer(): Promise<VfioContainer> {
    return unwrap(await this.tryVfioContainer());
  }

  /** As `vfioContainer`, with the kernel's refusal as a value. */
  async tryVfioContainer(): Promise<Result<VfioContainer>> {
    return await this.create(async (fd) => {
      const copy = await this.context.syscalls.dup(fd);
      if (copy < 0) return failure({ syscall: 'dup', fd }, copy);
      return success(new VfioContainer(this.context, this.context.own('VfioContainer', copy)));
    });
  }

  /** The id of the IOAS on which VFIO's container requests work. @throws KernelError ENODEV when there is none */
  async vfioIoas(): Promise<number> {
    return unwrap(await this.tryVfioIoas());
  }

  /** As `vfioIoas`, with the kernel's refusal as a value. */
  async tryVfioIoas(): Promise<Result<number>> {
    const outcome = await this.#ask(IOMMU_VFIO_IOAS, { op: IOMMU_VFIO_IOAS_GET });
    return outcome.ok ? success(outcome.out.ioas_id) : outcome;
  }

  /** Sets what `vfioIoas` tells; undefined: none. @throws KernelError */
  async setVfioIoas(ioas: Ioas | undefined): Promise<void> {
    unwrap(await this.trySetVfioIoas(ioas));
  }

  /** As `setVfioIoas`, with the kernel's refusal as a value. */
  async trySetVfioIoas(ioas: Ioas | undefined): Promise<Result<void>> {
    if (ioas === undefined) return done(await this.#ask(IOMMU_VFIO_IOAS, { op: IOMMU_VFIO_IOAS_CLEAR }));
    const { handle } = this.#own('ioas', ioas, [Ioas]);
    const args = { op: IOMMU_VFIO_IOAS_SET, ioas_id: handle.id };
    return await handle.use(async () => done(await this.#ask(IOMMU_VFIO_IOAS, args)));
  }

  /**
   * Counts what is mapped for the process that calls from now on; for a file that was handed on.
   *
   * @throws KernelError EINVAL when memory is mapped by address, and not by file
   */
  async changeProcess(): Promise<void> {
    unwrap(await this.tryChangeProcess());
  }

  /** As `changeProcess`, with the kernel's refusal as a value. */
  async tryChangeProcess(): Promise<Result<void>> {
    return done(await this.#ask(IOMMU_IOAS_CHANGE_PROCESS, {}));
  }

  /**
   * IOMMU_DESTROY by number, for what no typed object stands for; one that does is closed.
   *
   * @throws KernelError ENOENT when there is no such object, EBUSY when it is in use
   */
  async destroy(id: number): Promise<void> {
    unwrap(await this.tryDestroy(id));
  }

  /** As `destroy`, with the kernel's refusal as a value. */
  async tryDestroy(id: number): Promise<Result<void>> {
    checkInteger('id', id, 0, U32_MAX);
    const object = this.#state.find(id);
    if (object) return await tryClose(this.context, object);
    return done(await this.#ask(IOMMU_DESTROY, { id }));
  }

  async #ask<I extends Ioctl>(ioctl: I, args: RawArg<I>): Promise<IoctlOutcome<IoctlOut<I>>> {
    const { syscalls } = this.context;
    const { number } = this.handle;
    return await this.handle.use(() => issue(syscalls, number, prepareIoctl(number, ioctl, args)));
  }

  #checkHwpt(options: HwptOptions) {
    checkOptions('options', options, ['device', 'on', 'dirtyTracking', 'nestParent']);
    const { dirtyTracking = false, nestParent = false } = options;
    if (typeof dirtyTracking !== 'boolean') throw wrongType('options.dirtyTracking', 'a boolean', dirtyTracking);
    if (typeof nestParent !== 'boolean') throw wrongType('options.nestParent', 'a boolean', nestParent);
    const on = this.#own('options.on', options.on, [Ioas, Hwpt]);
    const flags =
      (dirtyTracking ? IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0) | (nestParent ? IOMMU_HWPT_ALLOC_NEST_PARENT : 0);
    return { dev_id: deviceId('options.device', options.device), flags, on };
  }

  #own(what: string, object: Ioas | Hwpt, classes: readonly (typeof Ioas | typeof Hwpt)[]) {
    if (!classes.some((known) => object instanceof known)) {
      throw wrongType(what, classes.map(({ name }) => `an ${name}`).join(' or '), object);
    }
    const handle = handleOf(object);
    if (handle.state !== this.#state) throw wrongValue(what, 'of the same iommufd', object);
    return { handle };
  }
}

function done(outcome: IoctlOutcome<unknown>): Result<void> {
  return outcome.ok ? success(undefined) : outcome;
}
