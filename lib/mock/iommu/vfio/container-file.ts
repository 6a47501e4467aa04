/** /dev/vfio/vfio: the container's own requests, and those of its IOMMU driver once it has one. */

import { errno } from '../../../abi/errno.ts';
import { PAGE_SIZE, S_IFCHR } from '../../../abi/linux.ts';
import * as vfio from '../../../abi/vfio.ts';
import type { Stat } from '../../../syscalls/seam.ts';
import { MockFile, type UserMemory } from '../../process/index.ts';
import type { IommuHost } from '../host.ts';
import { Container } from './container.ts';
import { type1Dispatcher } from './type1-ioctls.ts';

export class ContainerFile extends MockFile {
  readonly container: Container;
  readonly #host: IommuHost;

  constructor(host: IommuHost) {
    super();
    this.#host = host;
    this.container = new Container(host);
  }

  override ioctl(request: number, user: UserMemory): number {
    const { type1 } = this.container;
    switch (request) {
      case vfio.VFIO_GET_API_VERSION.request:
        return vfio.VFIO_API_VERSION;
      case vfio.VFIO_CHECK_EXTENSION.request:
        return this.#checkExtension(user.value);
      case vfio.VFIO_SET_IOMMU.request:
        return this.container.setIommu(user.value);
      default:
        return type1 ? type1Dispatcher.run({ type1, host: this.#host }, request, user, -errno.ENOTTY) : -errno.EINVAL;
    }
  }

  #checkExtension(extension: bigint): number {
    const { type1 } = this.container;
    switch (Number(extension)) {
      case vfio.VFIO_TYPE1_IOMMU:
      case vfio.VFIO_TYPE1v2_IOMMU:
      case vfio.VFIO_UNMAP_ALL:
        return 1;
      case vfio.VFIO_UPDATE_VADDR:
        return type1 ? 1 : 0;
      case vfio.VFIO_DMA_CC_IOMMU:
        return Number(type1?.enforcesCoherency ?? false);
      default:
        return 0;
    }
  }

  override get hasPositions(): boolean {
    return true;
  }

  stat(): Stat {
    return { ino: 4n, mode: S_IFCHR | 0o666, nlink: 1, size: 0n, blksize: PAGE_SIZE, blocks: 0n };
  }
}
