/** iommufd and VFIO: every case, in the order in which reports show them. */

import type { AnyCase } from '../case.ts';
import { cases as map } from './iommu-map.ts';
import { cases as mapPrivate } from './iommu-map-private.ts';
import { cases as memlock } from './iommu-memlock.ts';
import { cases as mockDomain } from './iommu-mock-domain.ts';
import { cases as mockMemory } from './iommu-mock-memory.ts';
import { cases as numbers } from './iommu-numbers.ts';
import { cases as pageTables } from './iommu-page-tables.ts';
import { cases as ranges } from './iommu-ranges.ts';
import { cases as unmap } from './iommu-unmap.ts';
import { cases as bind } from './vfio-bind.ts';
import { cases as cdev } from './vfio-cdev.ts';
import { cases as container } from './vfio-container.ts';
import { cases as device } from './vfio-device.ts';
import { cases as dma } from './vfio-dma.ts';
import { cases as kvm } from './vfio-kvm.ts';
import { cases as mapping } from './vfio-mapping.ts';

export const cases: readonly AnyCase[] = [
  ...numbers,
  ...map,
  ...mapPrivate,
  ...unmap,
  ...ranges,
  ...mockDomain,
  ...mockMemory,
  ...pageTables,
  ...memlock,
  ...container,
  ...cdev,
  ...device,
  ...bind,
  ...mapping,
  ...dma,
  ...kvm,
];
