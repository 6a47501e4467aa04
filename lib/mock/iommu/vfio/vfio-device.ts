/**
 * A PCI device that vfio-pci has: who has it open, and through what its DMA goes. Its users come through its group, or
 * through its own device node and an iommufd. Source: drivers/vfio/vfio_main.c.
 */

import { errno } from '../../../abi/errno.ts';
import type { IommufdContext } from '../iommufd/context.ts';
import {
  attachDevice,
  bindDevice,
  type DeviceObject,
  detachDevice,
  replaceDevice,
  unbindDevice,
} from '../iommufd/device.ts';
import { NO_PASID } from '../iommufd/group.ts';
import { pagingOf } from '../iommufd/hwpt.ts';
import type { Translate } from '../pci/dma-target.ts';
import type { PciDevice } from '../pci/pci-device.ts';
import { Interrupts } from './interrupts.ts';
import { throughIoas } from './through-ioas.ts';

const INT_MAX = 0x7fff_ffff;

/** A VFIO group, as far as its devices and their nodes need it. */
interface Siblings {
  readonly id: number;
  readonly devices: Set<VfioDevice>;
  readonly opened: boolean;
  cdevOpens: number;
}

export class VfioDevice {
  /** vfio0, vfio1: its node. */
  readonly number: number;
  readonly pci: PciDevice;
  readonly group: Siblings;
  readonly interrupts: Interrupts;
  /** Mappings of its region, which go when the region is switched off. */
  readonly mappings = new Set<{ unmapFilePages(range: { start: number; end: number }): void }>();
  /** It is open through its own node. */
  cdevOpened = false;
  #opens = 0;
  #bound: DeviceObject | undefined;
  #attached = false;
  readonly #pasids = new Set<number>();

  constructor(number: number, pci: PciDevice, group: Siblings) {
    this.number = number;
    this.pci = pci;
    this.group = group;
    this.interrupts = new Interrupts(pci);
  }

  get opens(): number {
    return this.#opens;
  }

  /** The iommufd's name for it, while it is bound to one. */
  get bound(): DeviceObject | undefined {
    return this.#bound;
  }

  /** vfio_df_open() with an iommufd: binds it. */
  openWith(context: IommufdContext, throughGroup: boolean): number {
    if (this.#opens > 0 && !throughGroup) return -errno.EINVAL;
    if (this.#opens === 0) {
      const bound = bindDevice(context, this.pci.hardware, { isolated: true, keepsFile: true });
      if (typeof bound === 'number') return bound;
      this.#bound = bound;
      this.#translateThrough();
    }
    this.#opens++;
    return 0;
  }

  /** vfio_df_open() with a container, which has set up the translation. */
  openInContainer(translate: Translate): void {
    if (this.#opens++ === 0) this.pci.translate = translate;
  }

  /** vfio_df_close(): the last one lets go of everything. */
  close(): void {
    if (--this.#opens > 0) return;
    if (this.#bound) {
      for (const pasid of this.#pasids) this.detachPasid(pasid);
      this.detach();
      unbindDevice(this.#bound);
      this.#bound = undefined;
    }
    this.pci.translate = undefined;
    this.interrupts.disable();
    this.pci.config.restore();
  }

  /** Attaches, or replaces what is attached: the page table's id, or -errno. */
  attach(ptId: number): number {
    const bound = this.#bound;
    if (!bound) return -errno.EINVAL;
    const hwpt = this.#attached ? replaceDevice(bound, ptId) : attachDevice(bound, ptId);
    if (hwpt > 0) this.#attached = true;
    return hwpt;
  }

  detach(): void {
    if (this.#bound && this.#attached) detachDevice(this.#bound, NO_PASID);
    this.#attached = false;
  }

  /** vfio_iommufd_physical_pasid_attach_ioas(): 0, which stands for no PASID, is kept apart from attach() all the same. */
  attachPasid(pasid: number, ptId: number): number {
    const bound = this.#bound;
    if (!bound) return -errno.EINVAL;
    if (this.#pasids.has(pasid)) return replaceDevice(bound, ptId, pasid);
    // ida_alloc_range()
    if (pasid > INT_MAX) return -errno.EINVAL;
    const hwpt = attachDevice(bound, ptId, pasid);
    if (hwpt > 0) this.#pasids.add(pasid);
    return hwpt;
  }

  detachPasid(pasid: number): void {
    if (this.#bound && this.#pasids.delete(pasid)) detachDevice(this.#bound, pasid);
  }

  #translateThrough(): void {
    this.pci.translate = (iova) => {
      const hwpt = this.#bound?.attached();
      if (!hwpt) return undefined;
      const { ioas, domain } = pagingOf(hwpt);
      return throughIoas(ioas, domain, iova);
    };
  }
}
