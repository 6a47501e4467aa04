/** Every case, in the order in which reports show them. */

import type { AnyCase } from '../case.ts';
import { cases as binding } from './binding.ts';
import { cases as bindingUserAddress } from './binding-user-address.ts';
import { cases as capabilities } from './capabilities.ts';
import { cases as conversions } from './conversions.ts';
import { cases as create } from './create.ts';
import { cases as devKvm } from './dev-kvm.ts';
import { cases as failNth } from './fail-nth.ts';
import { cases as fallocate } from './fallocate.ts';
import { cases as features } from './features.ts';
import { cases as flags } from './flags.ts';
import { cases as guestBacking } from './guest-backing.ts';
import { cases as guestPlainSlots } from './guest-plain-slots.ts';
import { cases as guestRam } from './guest-ram.ts';
import { cases as guestSlots } from './guest-slots.ts';
import { cases as hostAccess } from './host-access.ts';
import { cases as hugeFile } from './huge-file.ts';
import { cases as hugePunchHole } from './huge-punch-hole.ts';
import { cases as iommu } from './iommu.ts';
import { cases as launch } from './launch.ts';
import { cases as lifetime } from './lifetime.ts';
import { cases as memoryAttributes } from './memory-attributes.ts';
import { cases as memoryError } from './memory-error.ts';
import { cases as memoryLifetime } from './memory-lifetime.ts';
import { cases as memoryRegion } from './memory-region.ts';
import { cases as memoryRegionChange } from './memory-region-change.ts';
import { cases as memoryRegionStruct } from './memory-region-struct.ts';
import { cases as mmap } from './mmap.ts';
import { cases as preFault } from './pre-fault.ts';
import { cases as punchHole } from './punch-hole.ts';
import { cases as racesConvert } from './races-convert.ts';
import { cases as racesDma } from './races-dma.ts';
import { cases as racesMemory } from './races-memory.ts';
import { cases as requestNumbers } from './request-numbers.ts';
import { cases as requests } from './requests.ts';
import { cases as setMemoryRegion } from './set-memory-region.ts';
import { cases as stat } from './stat.ts';
import { cases as thread } from './thread.ts';
import { cases as vcpuExits } from './vcpu-exits.ts';
import { cases as vcpuRun } from './vcpu-run.ts';

export const cases: readonly AnyCase[] = [
  ...create,
  ...flags,
  ...stat,
  ...features,
  ...mmap,
  ...hostAccess,
  ...fallocate,
  ...punchHole,
  ...hugeFile,
  ...hugePunchHole,
  ...requests,
  ...requestNumbers,
  ...capabilities,
  ...devKvm,
  ...memoryAttributes,
  ...memoryRegion,
  ...memoryRegionChange,
  ...memoryRegionStruct,
  ...setMemoryRegion,
  ...binding,
  ...bindingUserAddress,
  ...lifetime,
  ...memoryLifetime,
  ...vcpuExits,
  ...vcpuRun,
  ...guestSlots,
  ...guestPlainSlots,
  ...guestBacking,
  ...preFault,
  ...conversions,
  ...failNth,
  ...memoryError,
  ...racesMemory,
  ...racesConvert,
  ...racesDma,
  ...launch,
  ...thread,
  ...guestRam,
  ...iommu,
];
