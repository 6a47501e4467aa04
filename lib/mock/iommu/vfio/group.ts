/** A VFIO group: the devices that only one user may have, and what it has put them into. */

import type { Group } from '../hardware/driver.ts';
import type { IommufdContext } from '../iommufd/context.ts';
import type { Container } from './container.ts';
import type { VfioDevice } from './vfio-device.ts';

export class VfioGroup {
  readonly group: Group;
  readonly devices = new Set<VfioDevice>();
  /** Its one file. */
  opened = false;
  container: Container | undefined;
  /** Besides the group's file, those of its devices. */
  containerUsers = 0;
  iommufd: IommufdContext | undefined;
  /** Devices of it that are bound through their own nodes: then the group cannot be opened. */
  cdevOpens = 0;

  constructor(group: Group) {
    this.group = group;
  }

  get id(): number {
    return this.group.id;
  }

  get hasIommu(): boolean {
    return this.container !== undefined || this.iommufd !== undefined;
  }
}
