/** The IOMMU of a mock kernel, and everything that is reached through it. */

import type { FileOpener, PathSource } from '../process/index.ts';
import type { Profile } from '../profile.ts';
import type { IommuHost } from './host.ts';
import { IommufdFile } from './iommufd/iommufd-file.ts';
import { GuestMemfdAreas } from './notify/registry.ts';
import { LockedMemory } from './pages/accounting.ts';
import { PciBus } from './pci/bus.ts';
import { checkDevices, type DeviceOption } from './pci/device-options.ts';
import { PciSysfs } from './pci/sysfs.ts';
import type { IommuPolicy } from './policy.ts';
import { VfioNodes } from './vfio/nodes.ts';

interface SystemOptions {
  readonly policy: IommuPolicy;
  /** RLIMIT_MEMLOCK in pages; undefined for a process with CAP_IPC_LOCK. */
  readonly memlock: number | undefined;
  readonly devices: readonly DeviceOption[] | undefined;
}

/** What the system needs of the kernel it is part of. */
type Kernel = Omit<IommuHost, 'locked' | 'policy'> & { readonly profile: Profile };

export class IommuSystem implements PathSource {
  readonly host: IommuHost;
  readonly #areas: GuestMemfdAreas;
  /** Whose files there are; none on a kernel without all this. */
  readonly #sources: readonly PathSource[];

  constructor(kernel: Kernel, { policy, memlock, devices }: SystemOptions) {
    const { platform, memory, journal, fds, restarts, addressSpace } = kernel;
    const nextNumber = (): number => kernel.nextNumber();
    this.host = {
      platform,
      memory,
      journal,
      fds,
      restarts,
      addressSpace,
      nextNumber,
      policy,
      locked: new LockedMemory(memlock),
    };
    this.#areas = new GuestMemfdAreas(platform);
    if (!kernel.profile.iommufd) this.#sources = [];
    else {
      const vfio = new VfioNodes(this.host);
      this.#sources = [vfio, new PciSysfs(new PciBus(this.host, checkDevices(devices), vfio))];
    }
  }

  *files(): Iterable<readonly [string, FileOpener]> {
    if (this.#sources.length > 0) yield ['/dev/iommu', () => new IommufdFile(this.host, this.#areas)];
    for (const source of this.#sources) yield* source.files();
  }

  *links(): Iterable<readonly [string, string]> {
    for (const source of this.#sources) yield* source.links();
  }
}
