/** What the IOMMU's part of the mock needs of the rest of it. */

import type { Journal } from '../journal.ts';
import type { HostMemory } from '../memory.ts';
import type { Platform } from '../platform/index.ts';
import type { AddressSpace, FdTable } from '../process/index.ts';
import type { Restarts } from '../restart.ts';
import type { LockedMemory } from './pages/accounting.ts';
import type { IommuPolicy } from './policy.ts';

export interface IommuHost {
  readonly platform: Platform;
  readonly memory: HostMemory;
  readonly journal: Journal;
  readonly fds: FdTable;
  readonly restarts: Restarts;
  readonly addressSpace: AddressSpace;
  readonly locked: LockedMemory;
  readonly policy: IommuPolicy;
  /** The next inode number. */
  nextNumber(): number;
}
