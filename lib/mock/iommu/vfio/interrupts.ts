/** Interrupts of a PCI device, as eventfds: drivers/vfio/pci/vfio_pci_intrs.c. */

import { errno } from '../../../abi/errno.ts';
import {
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_IRQ_SET_DATA_BOOL,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  VFIO_PCI_ERR_IRQ_INDEX,
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_MSI_IRQ_INDEX,
  VFIO_PCI_MSIX_IRQ_INDEX,
  VFIO_PCI_REQ_IRQ_INDEX,
} from '../../../abi/vfio-device.ts';
import { EventFile, type FdTable } from '../../process/index.ts';
import type { PciDevice } from '../pci/pci-device.ts';

/** How many each index has: edu has a pin and one message. */
export const INTERRUPTS: readonly number[] = [1, 1, 0, 1, 1];

interface Request {
  readonly flags: number;
  readonly index: number;
  readonly start: number;
  readonly count: number;
  readonly data: Uint8Array;
}

const ACTIONS = VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_ACTION_TRIGGER;

export class Interrupts {
  /** Which of pin and messages is in use, and who hears of it. */
  #mode: number | undefined;
  #listener: EventFile | undefined;
  #masked = false;
  #pending = false;
  /** Errors of the bus, and requests to give the device back. */
  readonly #others = new Map<number, EventFile>();

  constructor(pci: PciDevice) {
    pci.onInterrupt = (raised) => this.#deviceRaises(raised);
  }

  #deviceRaises(raised: boolean): void {
    this.#pending = raised && this.#mode === VFIO_PCI_INTX_IRQ_INDEX;
    if (raised) this.#signal();
  }

  /** The pin is masked by each interrupt, until user space unmasks it. */
  #signal(): void {
    if (this.#mode === VFIO_PCI_INTX_IRQ_INDEX) {
      if (this.#masked) return;
      this.#masked = true;
    }
    this.#listener?.signal();
  }

  /** Somebody wants the device back. */
  requestDevice(): void {
    this.#others.get(VFIO_PCI_REQ_IRQ_INDEX)?.signal();
  }

  disable(): void {
    this.#mode = undefined;
    this.#listener = undefined;
    this.#masked = false;
    this.#pending = false;
    this.#others.clear();
  }

  /** VFIO_DEVICE_SET_IRQS, once its numbers have been found to be in range. */
  set(fds: FdTable, request: Request): number {
    switch (request.index) {
      case VFIO_PCI_INTX_IRQ_INDEX:
        return this.#setPin(fds, request);
      case VFIO_PCI_MSI_IRQ_INDEX:
      case VFIO_PCI_MSIX_IRQ_INDEX:
        return (request.flags & ACTIONS) === VFIO_IRQ_SET_ACTION_TRIGGER
          ? this.#setTrigger(fds, request)
          : -errno.ENOTTY;
      default:
        return (request.flags & ACTIONS) === VFIO_IRQ_SET_ACTION_TRIGGER ? this.#setOther(fds, request) : -errno.ENOTTY;
    }
  }

  #setPin(fds: FdTable, request: Request): number {
    switch (request.flags & ACTIONS) {
      case VFIO_IRQ_SET_ACTION_TRIGGER:
        return this.#setTrigger(fds, request);
      case VFIO_IRQ_SET_ACTION_MASK:
        return this.#mask(request, true);
      case VFIO_IRQ_SET_ACTION_UNMASK:
        return this.#mask(request, false);
      default:
        return -errno.ENOTTY;
    }
  }

  #mask({ flags, start, count, data }: Request, masked: boolean): number {
    if (this.#mode !== VFIO_PCI_INTX_IRQ_INDEX || start !== 0 || count !== 1) return -errno.EINVAL;
    if (flags & VFIO_IRQ_SET_DATA_EVENTFD) return masked ? -errno.ENOTTY : 0;
    if (flags & VFIO_IRQ_SET_DATA_BOOL && data[0] === 0) return 0;
    this.#masked = masked;
    if (!masked && this.#pending) this.#signal();
    return 0;
  }

  #setTrigger(fds: FdTable, { flags, index, start, count, data }: Request): number {
    const isOurs = this.#mode === index;
    if (isOurs && count === 0 && flags & VFIO_IRQ_SET_DATA_NONE) {
      this.#mode = undefined;
      this.#listener = undefined;
      return 0;
    }
    const one = index === VFIO_PCI_INTX_IRQ_INDEX ? start === 0 && count === 1 : true;
    if (!(isOurs || this.#mode === undefined) || !one) return -errno.EINVAL;
    if (flags & VFIO_IRQ_SET_DATA_EVENTFD) return this.#listen(fds, index, count, data);
    if (!isOurs) return -errno.EINVAL;
    if (count > 0 && (flags & VFIO_IRQ_SET_DATA_NONE || data[0] !== 0)) this.#listener?.signal();
    return 0;
  }

  #listen(fds: FdTable, index: number, count: number, data: Uint8Array): number {
    const listener = count > 0 ? eventFile(fds, data) : undefined;
    if (typeof listener === 'number') return listener;
    this.#mode = index;
    this.#listener = listener;
    this.#masked = false;
    return 0;
  }

  #setOther(fds: FdTable, { flags, index, start, count, data }: Request): number {
    const known = index === VFIO_PCI_ERR_IRQ_INDEX || index === VFIO_PCI_REQ_IRQ_INDEX;
    if (!known || start !== 0 || count > 1) return -errno.EINVAL;
    const listener = this.#others.get(index);
    if (flags & VFIO_IRQ_SET_DATA_NONE) {
      if (!listener) return -errno.EINVAL;
      if (count === 0) this.#others.delete(index);
      else listener.signal();
      return 0;
    }
    if (count === 0) return -errno.EINVAL;
    if (flags & VFIO_IRQ_SET_DATA_BOOL) {
      if (data[0] !== 0) listener?.signal();
      return 0;
    }
    const next = eventFile(fds, data);
    if (typeof next === 'number') return next;
    if (next) this.#others.set(index, next);
    else this.#others.delete(index);
    return 0;
  }
}

/** The eventfd whose number is there; undefined for -1, or -errno. */
function eventFile(fds: FdTable, data: Uint8Array): EventFile | undefined | number {
  const fd = new DataView(data.buffer, data.byteOffset, 4).getInt32(0, true);
  if (fd < 0) return fd === -1 ? undefined : -errno.EINVAL;
  const file = fds.get(fd);
  if (!file) return -errno.EBADF;
  return file instanceof EventFile ? file : -errno.EINVAL;
}
