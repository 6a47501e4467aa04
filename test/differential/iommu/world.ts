/** What exists of iommufd and VFIO, as far as both kernels agreed: files by name, and objects by the ids they were given. */

import type { Place } from '../things.ts';

/** An iommufd's objects, as their ids show what they are. */
export type ObjectKind = 'ioas' | 'hwpt' | 'mock-device' | 'device';

export interface Area {
  readonly iova: bigint;
  readonly length: bigint;
  /** What was mapped there, where that is known. */
  readonly memory?: Place;
}

/** Where DMA is mapped. It leads generated calls to what is mapped, and may be wrong. */
export interface Space {
  areas: Area[];
}

export interface IommuObject extends Space {
  readonly id: number;
  readonly kind: ObjectKind;
  /** A page table made to track writes, and of which address space. */
  readonly tracks: number | undefined;
  /** An address space of which every page has an entry of its own. */
  smallPages: boolean;
}

export interface Iommufd extends Space {
  readonly kind: 'iommufd';
  readonly name: string;
  /** It stands for a container: it can map as one. */
  ready: boolean;
  readonly objects: Map<number, IommuObject>;
}

export interface Access {
  readonly kind: 'access';
  readonly name: string;
  readonly of: Iommufd;
  /** Of the IOAS it is on. */
  ioas: number;
  /** Of what it pinned. */
  readonly pages: Set<number>;
}

export interface Container extends Space {
  readonly kind: 'container';
  readonly name: string;
  /** Its IOMMU was set: it can map. */
  ready: boolean;
}

export interface Group {
  readonly kind: 'group';
  readonly name: string;
}

export interface Device {
  readonly kind: 'vfio-device';
  readonly name: string;
  /** What it was bound to. */
  of: Iommufd | undefined;
}

export type IommuFile = Iommufd | Access | Container | Group | Device;

export interface IommuFd {
  readonly name: string;
  readonly of: IommuFile;
}

export const FDS = 10;

export class IommuWorld {
  readonly fds: (IommuFd | undefined)[] = new Array(FDS).fill(undefined);

  /** The first there is, from the nth place on. */
  fd<K extends IommuFile['kind']>(nth: number, ...kinds: readonly K[]): (IommuFd & { of: FileOf<K> }) | undefined {
    for (let i = 0; i < FDS; i++) {
      const fd = this.fds[(nth + i) % FDS];
      if (fd !== undefined && (kinds as readonly string[]).includes(fd.of.kind))
        return fd as IommuFd & { of: FileOf<K> };
    }
    return undefined;
  }

  count(kind: IommuFile['kind']): number {
    return this.fds.filter((fd) => fd?.of.kind === kind).length;
  }

  /** Keeps a new fd; undefined when there is no place for one more. */
  place(fd: IommuFd): (() => void) | undefined {
    const free = this.fds.indexOf(undefined);
    if (free < 0) return undefined;
    return () => {
      this.fds[free] = fd;
    };
  }
}

type FileOf<K extends IommuFile['kind']> = Extract<IommuFile, { kind: K }>;

export const addObject = ({ objects }: Iommufd, kind: ObjectKind, id: number, tracks?: number): void =>
  void objects.set(id, { id, kind, tracks, smallPages: false, areas: [] });

export const objectsOf = ({ objects }: Iommufd, ...kinds: readonly ObjectKind[]): IommuObject[] =>
  [...objects.values()].filter(({ kind }) => kinds.includes(kind));

export function addArea(space: Space | undefined, area: Area): void {
  space?.areas.push(area);
}

/** All that lie within. */
export function removeAreas(space: Space | undefined, iova: bigint, length: bigint): void {
  if (space) space.areas = space.areas.filter((area) => area.iova < iova || area.iova + area.length > iova + length);
}

/** All that is mapped on it: which address space a page table is of is for the kernels to know. */
export const everywhere = ({ objects }: Iommufd): Space => ({
  areas: [...objects.values()].flatMap(({ areas }) => areas),
});
