/** A guest's IOMMU, its devices and its events: drivers/iommu/iommufd/viommu.c. Only the test driver has them. */

import type { IommuDriver } from '../hardware/driver.ts';
import type { DeviceObject, VirtualDevice } from './device.ts';
import type { HwptPaging } from './hwpt.ts';
import { IommufdObject } from './objects.ts';

export class Viommu extends IommufdObject {
  readonly type: number;
  readonly driver: IommuDriver;
  readonly hwpt: HwptPaging;
  readonly vdevices = new Map<bigint, Vdevice>();
  /** By their type. */
  readonly eventQueues = new Map<number, EventReports>();
  /** By their index; each needs the one before it. */
  readonly hardwareQueues = new Map<number, IommufdObject>();

  constructor(type: number, driver: IommuDriver, hwpt: HwptPaging) {
    super();
    this.type = type;
    this.driver = driver;
    this.hwpt = hwpt;
    hwpt.users++;
  }

  override destroy(): void {
    this.hwpt.users--;
  }
}

export interface EventReports {
  report(event: Uint8Array): void;
}

export class Vdevice extends IommufdObject implements VirtualDevice {
  readonly viommu: Viommu;
  readonly device: DeviceObject;
  readonly virtualId: bigint;

  constructor(viommu: Viommu, device: DeviceObject, virtualId: bigint) {
    super();
    this.viommu = viommu;
    this.device = device;
    this.virtualId = virtualId;
    viommu.users++;
    viommu.vdevices.set(virtualId, this);
    device.vdevice = this;
  }

  override destroy(): void {
    this.viommu.vdevices.delete(this.virtualId);
    this.viommu.users--;
    this.device.vdevice = undefined;
  }
}
