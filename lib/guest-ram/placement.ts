/** Where the parts of the file are in guest-physical memory, which is also where devices find them. */

import type { DmaPiece } from './dma-space.ts';
import { clip } from './piece-list.ts';

/** A part of the file in bytes. */
export interface FileRange {
  readonly offset: bigint;
  readonly size: bigint;
}

/** One memory region's part of the file. Devices address memory as the guest does, so its iova is its guest-physical address. */
export type Place = DmaPiece;

export class Placement {
  /** By file offset. Regions that follow each other in the file and in guest-physical memory are one place. */
  readonly places: readonly Place[];

  constructor(regions: readonly Place[]) {
    const places: Place[] = [];
    for (const region of regions.toSorted((a, b) => (a.offset < b.offset ? -1 : 1))) {
      const last = places.at(-1);
      const follows = last && last.offset + last.length === region.offset && last.iova + last.length === region.iova;
      if (follows) places[places.length - 1] = { ...last, length: last.length + region.length };
      else places.push(region);
    }
    this.places = places;
  }

  /** What of the range the guest can see, in as few pieces as there are places. */
  within(start: bigint, end: bigint): DmaPiece[] {
    return this.places.map((place) => clip(place, start, end)).filter((piece) => piece !== undefined);
  }

  /**
   * The file's parts behind guest-physical addresses, in the order of the addresses.
   * @throws RangeError when the guest has nothing at one of them
   */
  behind(guestPhysAddr: bigint, size: bigint): FileRange[] {
    const end = guestPhysAddr + size;
    const ranges: FileRange[] = [];
    for (let at = guestPhysAddr; at < end; at += ranges.at(-1)!.size) {
      const place = this.places.find(({ iova, length }) => iova <= at && at < iova + length);
      if (!place) throw nothingAt(at);
      const left = place.iova + place.length - at;
      ranges.push({ offset: place.offset + (at - place.iova), size: left < end - at ? left : end - at });
    }
    return ranges;
  }
}

function nothingAt(guestPhysAddr: bigint): RangeError {
  const message = `guest-physical address 0x${guestPhysAddr.toString(16)} is in no region of this GuestRam`;
  return Object.assign(new RangeError(message), { code: 'ERR_OUT_OF_RANGE' });
}
