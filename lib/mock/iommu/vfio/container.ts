/** A VFIO container: groups, and once there is one, the IOMMU driver that maps for them. Source: container.c. */

import { errno } from '../../../abi/errno.ts';
import { VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU } from '../../../abi/vfio.ts';
import type { Group } from '../hardware/driver.ts';
import type { IommuHost } from '../host.ts';
import type { Translate } from '../pci/dma-target.ts';
import { Type1 } from './type1.ts';

/** A VFIO group, as far as its container needs it. */
interface Member {
  readonly group: Group;
  container: Container | undefined;
  containerUsers: number;
}

export class Container {
  readonly #host: IommuHost;
  readonly #groups = new Set<Member>();
  readonly #title: string;
  #type1: Type1 | undefined;

  constructor(host: IommuHost) {
    this.#host = host;
    this.#title = `container ${host.nextNumber()}`;
  }

  get type1(): Type1 | undefined {
    return this.#type1;
  }

  /** What its devices' DMA is translated by; undefined before VFIO_SET_IOMMU. */
  get translate(): Translate | undefined {
    const type1 = this.#type1;
    return type1 && ((iova) => type1.translate(iova));
  }

  /** VFIO_GROUP_SET_CONTAINER */
  attachGroup(group: Member): number {
    if (!group.group.claim(this)) return -errno.EPERM;
    const error = this.#type1?.attach(group.group) ?? 0;
    if (error !== 0) {
      group.group.release();
      return error;
    }
    this.#groups.add(group);
    group.container = this;
    group.containerUsers = 1;
    return 0;
  }

  /** The last group takes the driver with it. */
  detachGroup(group: Member): void {
    this.#type1?.detach(group.group);
    group.group.release();
    this.#groups.delete(group);
    group.container = undefined;
    group.containerUsers = 0;
    if (this.#groups.size > 0) return;
    this.#type1?.release();
    this.#type1 = undefined;
  }

  /** VFIO_SET_IOMMU */
  setIommu(type: bigint): number {
    if (this.#groups.size === 0 || this.#type1) return -errno.EINVAL;
    const isV2 = type === BigInt(VFIO_TYPE1v2_IOMMU);
    if (!isV2 && type !== BigInt(VFIO_TYPE1_IOMMU)) return -errno.ENODEV;
    const type1 = new Type1(this.#host, this.#title, isV2);
    for (const { group } of this.#groups) {
      const error = type1.attach(group);
      if (error !== 0) return error;
    }
    this.#type1 = type1;
    return 0;
  }
}
