/** The IOMMU of a mock kernel, and everything that is reached through it. */

import { PAGE_SIZE } from '../../abi/linux.ts';
import type { PathSource } from '../process/index.ts';
import type { Profile } from '../profile.ts';
import type { IommuHost } from './host.ts';
import { IommufdFile } from './iommufd/iommufd-file.ts';
import { GuestMemfdAreas } from './notify/registry.ts';
import { LockedMemory } from './pages/accounting.ts';
import type { IommuPolicy } from './policy.ts';

interface SystemOptions {
  readonly policy: IommuPolicy;
  /** RLIMIT_MEMLOCK in bytes; undefined for a process with CAP_IPC_LOCK. */
  readonly memlock: number | undefined;
}

/** What the system needs of the kernel it is part of. */
type Kernel = Omit<IommuHost, 'locked' | 'policy'> & { readonly profile: Profile };

export class IommuSystem implements PathSource {
  readonly host: IommuHost;
  readonly #profile: Profile;
  readonly #areas: GuestMemfdAreas;

  constructor(kernel: Kernel, { policy, memlock }: SystemOptions) {
    this.#profile = kernel.profile;
    const { platform, memory, journal, fds, addressSpace } = kernel;
    const limit = memlock === undefined ? undefined : Math.floor(memlock / PAGE_SIZE);
    const nextNumber = (): number => kernel.nextNumber();
    this.host = { platform, memory, journal, fds, addressSpace, nextNumber, policy, locked: new LockedMemory(limit) };
    this.#areas = new GuestMemfdAreas(platform);
  }

  files(): ReturnType<PathSource['files']> {
    return this.#profile.iommufd ? [['/dev/iommu', () => new IommufdFile(this.host, this.#areas)]] : [];
  }

  links(): ReturnType<PathSource['links']> {
    return [];
  }
}
