/** /dev/iommu: which requests there are. */

import { errno } from '../../../abi/errno.ts';
import { requestNr } from '../../../abi/ioctl.ts';
import * as abi from '../../../abi/iommufd.ts';
import { IOMMU_TEST_CMD } from '../../../abi/iommufd-test.ts';
import { PAGE_SIZE, S_IFCHR } from '../../../abi/linux.ts';
import type { Stat } from '../../../syscalls/seam.ts';
import { MockFile, type UserMemory } from '../../process/index.ts';
import type { IommuHost } from '../host.ts';
import type { GuestMemfdAreas } from '../notify/registry.ts';
import { compatIoctl } from './compat.ts';
import { IommufdContext } from './context.ts';
import { getDirtyBitmap, setDirtyTracking } from './dirty.ts';
import { getHwInfo } from './hw-info.ts';
import { hwptAlloc } from './hwpt-alloc.ts';
import { hwptInvalidate } from './invalidate.ts';
import { ioasCopy, ioasMap, ioasMapFile, ioasUnmap } from './map.ts';
import { option } from './option.ts';
import { faultQueueAlloc, veventqAlloc } from './queues.ts';
import { allowIovas, changeProcess, destroy, ioasAlloc, iovaRanges, noIommuAddress, vfioIoas } from './requests.ts';
import { SizedDispatcher } from './sized-dispatch.ts';
import { testCommand } from './test-command.ts';
import { hwQueueAlloc, vdeviceAlloc, viommuAlloc } from './viommu-alloc.ts';

/** Where iommufd's own numbers begin, and its test driver's request, the last there is. */
const FIRST_NR = 0x80;
const LAST_NR = requestNr(IOMMU_TEST_CMD.request);

const dispatcher = new SizedDispatcher<IommufdContext>()
  .on(abi.IOMMU_DESTROY, destroy)
  .on(abi.IOMMU_IOAS_ALLOC, ioasAlloc)
  .on(abi.IOMMU_IOAS_ALLOW_IOVAS, allowIovas)
  .on(abi.IOMMU_IOAS_COPY, ioasCopy)
  .on(abi.IOMMU_IOAS_IOVA_RANGES, iovaRanges)
  .on(abi.IOMMU_IOAS_MAP, ioasMap)
  .on(abi.IOMMU_IOAS_MAP_FILE, ioasMapFile)
  .on(abi.IOMMU_IOAS_UNMAP, ioasUnmap)
  .on(abi.IOMMU_IOAS_CHANGE_PROCESS, changeProcess)
  .on(abi.IOMMU_IOAS_NOIOMMU_GET_PA, noIommuAddress)
  .on(abi.IOMMU_OPTION, option)
  .on(abi.IOMMU_VFIO_IOAS, vfioIoas)
  .on(abi.IOMMU_HWPT_ALLOC, hwptAlloc)
  .on(abi.IOMMU_GET_HW_INFO, getHwInfo)
  .on(abi.IOMMU_HWPT_SET_DIRTY_TRACKING, setDirtyTracking)
  .on(abi.IOMMU_HWPT_GET_DIRTY_BITMAP, getDirtyBitmap)
  .on(abi.IOMMU_HWPT_INVALIDATE, hwptInvalidate)
  .on(abi.IOMMU_FAULT_QUEUE_ALLOC, faultQueueAlloc)
  .on(abi.IOMMU_VIOMMU_ALLOC, viommuAlloc)
  .on(abi.IOMMU_VDEVICE_ALLOC, vdeviceAlloc)
  .on(abi.IOMMU_VEVENTQ_ALLOC, veventqAlloc)
  .on(abi.IOMMU_HW_QUEUE_ALLOC, hwQueueAlloc)
  .onBytes(IOMMU_TEST_CMD, testCommand);

export class IommufdFile extends MockFile {
  readonly context: IommufdContext;

  constructor(host: IommuHost, areas: GuestMemfdAreas) {
    super();
    this.context = new IommufdContext(host, areas, this);
  }

  override ioctl(request: number, user: UserMemory): number {
    const nr = requestNr(request);
    if (nr < FIRST_NR || nr > LAST_NR) return compatIoctl(this.context, request, user);
    return dispatcher.run(this.context, request, user);
  }

  override get hasPositions(): boolean {
    return true;
  }

  /** No queue of a guest's IOMMU has registers to map. */
  override mmap(): number {
    return -errno.ENXIO;
  }

  stat(): Stat {
    return { ino: 3n, mode: S_IFCHR | 0o660, nlink: 1, size: 0n, blksize: PAGE_SIZE, blocks: 0n };
  }

  protected override release(): void {
    this.context.objects.destroyAll();
  }
}
