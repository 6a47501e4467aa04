/** What an open /dev/iommu is: its objects, how it accounts for pinned pages, and the IOAS that VFIO's requests mean. */

import type { Group } from '../hardware/driver.ts';
import type { IommuHost } from '../host.ts';
import { IommufdGroup } from './group.ts';
import { Ioas, type NotifiedAreas } from './ioas.ts';
import { ObjectTable } from './objects.ts';

export class IommufdContext {
  readonly host: IommuHost;
  /** "iommufd 101", for the journal. */
  readonly title: string;
  readonly objects = new ObjectTable();
  /** IOMMU_OPTION_RLIMIT_MODE */
  accountPerProcess = false;
  vfioIoas: Ioas | undefined;
  readonly #areas: NotifiedAreas;
  readonly #groups = new Map<Group, IommufdGroup>();
  /** The file, which devices and in-kernel users keep open. */
  readonly file: { get(): unknown; put(): void };

  constructor(host: IommuHost, areas: NotifiedAreas, file: IommufdContext['file']) {
    this.host = host;
    this.#areas = areas;
    this.file = file;
    this.title = `iommufd ${host.nextNumber()}`;
  }

  /** An IOAS with an id that nobody can find yet. */
  newIoas(): Ioas {
    const ioas = new Ioas(this.title, this.host, this.#areas);
    this.objects.reserve(ioas);
    return ioas;
  }

  group(group: Group): IommufdGroup {
    const known = this.#groups.get(group) ?? new IommufdGroup();
    this.#groups.set(group, known);
    return known;
  }

  /** copy_from_user(): the bytes, or undefined for EFAULT. */
  read(address: bigint, length: number): Uint8Array | undefined {
    const bytes = new Uint8Array(length);
    return length === 0 || this.host.addressSpace.copyOut(address, bytes) === length ? bytes : undefined;
  }

  /** copy_to_user(): false for EFAULT. */
  write(address: bigint, bytes: Uint8Array): boolean {
    return bytes.length === 0 || this.host.addressSpace.copyIn(address, bytes) === bytes.length;
  }
}
