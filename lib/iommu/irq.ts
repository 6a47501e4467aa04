/** A device's interrupts, counted by eventfds. */

import { setTimeout as sleep } from 'node:timers/promises';
import { errno } from '../abi/errno.ts';
import { checkInteger, checkOneOf, checkOptions, wrongType } from '../abi/invalid.ts';
import { EFD_NONBLOCK } from '../abi/linux.ts';
import {
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IRQ_INFO_AUTOMASKED,
  VFIO_IRQ_INFO_EVENTFD,
  VFIO_IRQ_INFO_MASKABLE,
  VFIO_IRQ_INFO_NORESIZE,
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  VFIO_PCI_ERR_IRQ_INDEX,
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_MSI_IRQ_INDEX,
  VFIO_PCI_MSIX_IRQ_INDEX,
  VFIO_PCI_REQ_IRQ_INDEX,
} from '../abi/vfio-device.ts';
import {
  type Context,
  failure,
  Handle,
  issue,
  type OwnedFd,
  prepareIoctl,
  Resource,
  type Result,
  success,
  unwrap,
} from '../host/index.ts';

const INDEXES = {
  intx: VFIO_PCI_INTX_IRQ_INDEX,
  msi: VFIO_PCI_MSI_IRQ_INDEX,
  msix: VFIO_PCI_MSIX_IRQ_INDEX,
  error: VFIO_PCI_ERR_IRQ_INDEX,
  request: VFIO_PCI_REQ_IRQ_INDEX,
} as const;

/** PCI's, and VFIO's own: an error of the device, and the kernel's wish to have it back. */
export type IrqName = keyof typeof INDEXES;

export interface VfioIrqInfo {
  readonly index: number;
  /** How many vectors it has. */
  readonly count: number;
  readonly eventfd: boolean;
  readonly maskable: boolean;
  /** It is masked when it arrives, until `unmask`. */
  readonly autoMasked: boolean;
  /** The number of vectors in use cannot be changed while it is on. */
  readonly noResize: boolean;
}

export interface IrqOptions {
  /** How many vectors, from the first on. Default: 1. */
  readonly vectors?: number;
}

export interface WaitOptions {
  /** Milliseconds. Default: 1000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const U32_MAX = 0xffff_ffff;
const MOST_VECTORS = 2048;
const COUNTER_BYTES = 8;
/** Between looks at a counter, in milliseconds. */
const LOOK = 1;

function irqIndex(irq: IrqName | number): number {
  if (typeof irq === 'number') return checkInteger('irq', irq, 0, U32_MAX);
  return INDEXES[checkOneOf('irq', irq, Object.keys(INDEXES) as IrqName[])];
}

export async function tryIrqInfo(
  context: Context,
  device: OwnedFd,
  irq: IrqName | number,
): Promise<Result<VfioIrqInfo>> {
  const { number } = device;
  const args = { index: irqIndex(irq) };
  const outcome = await device.use(() =>
    issue(context.syscalls, number, prepareIoctl(number, VFIO_DEVICE_GET_IRQ_INFO, args)),
  );
  if (!outcome.ok) return outcome;
  const { index, count, flags } = outcome.out;
  return success({
    index,
    count,
    eventfd: (flags & VFIO_IRQ_INFO_EVENTFD) !== 0,
    maskable: (flags & VFIO_IRQ_INFO_MASKABLE) !== 0,
    autoMasked: (flags & VFIO_IRQ_INFO_AUTOMASKED) !== 0,
    noResize: (flags & VFIO_IRQ_INFO_NORESIZE) !== 0,
  });
}

interface Change {
  readonly flags: number;
  readonly start?: number;
  readonly count: number;
  readonly data?: Uint8Array;
}

async function setIrqs(context: Context, device: OwnedFd, index: number, change: Change): Promise<Result<void>> {
  const { flags, start = 0, count, data = new Uint8Array(0) } = change;
  const { number } = device;
  const bytes = VFIO_DEVICE_SET_IRQS.struct.encodeWith({ flags, index, start, count }, data);
  const outcome = await device.use(() =>
    issue(context.syscalls, number, prepareIoctl(number, VFIO_DEVICE_SET_IRQS, bytes)),
  );
  return outcome.ok ? success(undefined) : outcome;
}

/** Turns an interrupt on, each vector with an eventfd of its own. */
export async function openIrq(
  context: Context,
  device: OwnedFd,
  irq: IrqName | number,
  options: IrqOptions,
): Promise<Result<VfioIrq>> {
  const index = irqIndex(irq);
  const { vectors = 1 } = checkOptions<IrqOptions>('options', options, ['vectors']);
  checkInteger('options.vectors', vectors, 1, MOST_VECTORS);
  return await device.use(() =>
    context.handle.use(async () => {
      const counters: number[] = [];
      const closeAll = async () => {
        for (const fd of counters.splice(0)) await context.syscalls.close(fd);
      };
      while (counters.length < vectors) {
        const fd = await context.syscalls.eventfd(0, EFD_NONBLOCK);
        if (fd < 0) {
          await closeAll();
          return failure({ syscall: 'eventfd' }, fd);
        }
        counters.push(fd);
      }
      const on = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
      const data = new Uint8Array(Int32Array.from(counters).buffer);
      const result = await setIrqs(context, device, index, { flags: on, count: vectors, data });
      if (result.ok) return success(new VfioIrq(context, device, index, counters));
      await closeAll();
      return result;
    }),
  );
}

/** Made by `device.irq()`. Closing it turns the interrupt off. */
export class VfioIrq extends Resource<Handle> {
  readonly index: number;
  readonly vectors: number;
  readonly #device: OwnedFd;
  readonly #counters: readonly number[];

  constructor(context: Context, device: OwnedFd, index: number, counters: readonly number[]) {
    const release = async () => {
      const off = { flags: VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, count: 0 };
      // Closing the device turned it off.
      const result = device.isOpen ? await setIrqs(context, device, index, off) : success(undefined);
      for (const fd of counters) await context.syscalls.close(fd);
      unwrap(result);
    };
    super(context, context.adopt(new Handle(`VfioIrq ${index} of ${device.title}`, release)));
    this.index = index;
    this.vectors = counters.length;
    this.#device = device;
    this.#counters = counters;
  }

  /**
   * Waits until the interrupt has come.
   *
   * @returns how often it came since the last time; 0 when it did not come in time
   * @throws the signal's reason once it is aborted
   */
  async wait(vector = 0, options: WaitOptions = {}): Promise<bigint> {
    const { timeoutMs = 1000, signal } = checkOptions<WaitOptions>('options', options, ['timeoutMs', 'signal']);
    checkInteger('options.timeoutMs', timeoutMs, 0, 2 ** 31 - 1);
    if (signal !== undefined && !(signal instanceof AbortSignal))
      throw wrongType('options.signal', 'an AbortSignal', signal);
    const fd = this.#counters[this.#checkVector(vector)] as number;
    const end = performance.now() + timeoutMs;
    return await this.handle.use(async () => {
      for (;;) {
        signal?.throwIfAborted();
        const count = await this.#take(fd);
        if (count > 0n || performance.now() >= end) return count;
        await sleep(LOOK);
      }
    });
  }

  /** As if the device had raised it. @throws KernelError EINVAL */
  async trigger(vector = 0): Promise<void> {
    await this.#act(VFIO_IRQ_SET_ACTION_TRIGGER, vector);
  }

  /** @throws KernelError ENOTTY or EINVAL when it cannot be masked */
  async mask(vector = 0): Promise<void> {
    await this.#act(VFIO_IRQ_SET_ACTION_MASK, vector);
  }

  /** Lets it come again; for one that is masked when it arrives. @throws KernelError as `mask` */
  async unmask(vector = 0): Promise<void> {
    await this.#act(VFIO_IRQ_SET_ACTION_UNMASK, vector);
  }

  async #act(action: number, vector: number): Promise<void> {
    const change = { flags: VFIO_IRQ_SET_DATA_NONE | action, start: this.#checkVector(vector), count: 1 };
    unwrap(await this.handle.use(() => setIrqs(this.context, this.#device, this.index, change)));
  }

  #checkVector(vector: number): number {
    return checkInteger('vector', vector, 0, this.vectors - 1);
  }

  async #take(fd: number): Promise<bigint> {
    const bytes = new Uint8Array(COUNTER_BYTES);
    const ret = await this.context.syscalls.read(fd, bytes);
    if (ret === -errno.EAGAIN) return 0n;
    if (ret < 0) unwrap(failure({ syscall: 'read', fd }, ret));
    return new DataView(bytes.buffer).getBigUint64(0, true);
  }
}
