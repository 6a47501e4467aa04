/** What all VMs of one mock kernel share. */

import type { Faults } from '../faults.ts';
import type { GuestMemfdInode } from '../guest-memfd/index.ts';
import type { HugePagePools } from '../huge-page-pool.ts';
import type { Journal } from '../journal.ts';
import type { HostMemory } from '../memory.ts';
import type { Platform } from '../platform/index.ts';
import type { AddressSpace, FdTable, PathSource } from '../process/index.ts';
import type { Profile } from '../profile.ts';
import type { Restarts } from '../restart.ts';
import type { Memslots } from './memslots.ts';
import type { HasPageState } from './page-state.ts';
import type { Stage2 } from './stage2.ts';

/** A VM, as far as anything but KVM's own calls looks at it. */
export interface LiveVm extends HasPageState {
  readonly number: number;
  readonly type: number;
  readonly slots: Memslots;
  readonly stage2: Stage2;
  readonly dead: boolean;
}

export interface Machine {
  readonly profile: Profile;
  readonly platform: Platform;
  readonly memory: HostMemory;
  /** Pages that the process may lock: RLIMIT_MEMLOCK; undefined where it has CAP_IPC_LOCK. */
  readonly memlock: number | undefined;
  readonly hugePages: HugePagePools;
  readonly journal: Journal;
  readonly faults: Faults;
  readonly fds: FdTable;
  readonly restarts: Restarts;
  readonly addressSpace: AddressSpace;
  /** Files of other parts of the kernel. */
  readonly paths: PathSource[];
  /** VMs and guest_memfds that live, whoever keeps them. */
  readonly vms: Set<LiveVm>;
  readonly inodes: Set<GuestMemfdInode>;
  /** The next inode or VM number. */
  nextNumber(): number;
}
