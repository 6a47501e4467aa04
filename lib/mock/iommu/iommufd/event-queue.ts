/** IOMMU_VEVENTQ_ALLOC: events of a guest's IOMMU. When the queue is full, they are counted and no longer kept. */

import { errno } from '../../../abi/errno.ts';
import { struct, u32 } from '../../../abi/struct.ts';
import { IommufdObject } from './objects.ts';
import type { EventReports, Viommu } from './viommu.ts';

const iommufd_vevent_header = struct('iommufd_vevent_header', { flags: u32, sequence: u32 });
const FLAG_LOST_EVENTS = 1;
const SEQUENCE_MASK = 0x7fff_ffff;

interface Event {
  readonly flags: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}

export class VirtualEventQueue extends IommufdObject implements EventReports {
  readonly #viommu: Viommu;
  readonly #type: number;
  readonly #depth: number;
  #events: Event[] = [];
  #sequence = 0;

  constructor(viommu: Viommu, type: number, depth: number) {
    super();
    this.#viommu = viommu;
    this.#type = type;
    this.#depth = depth;
    viommu.users++;
    viommu.eventQueues.set(type, this);
  }

  report(data: Uint8Array): void {
    const isFull = this.#events.filter(({ flags }) => flags === 0).length === this.#depth;
    // There is one header for lost events, which moves to where the latest was lost.
    this.#events = this.#events.filter(({ flags }) => flags === 0);
    const sequence = this.#sequence;
    this.#sequence = (sequence + 1) & SEQUENCE_MASK;
    const event = isFull
      ? { flags: FLAG_LOST_EVENTS, sequence, data: new Uint8Array(0) }
      : { flags: 0, sequence, data };
    this.#events.push(event);
  }

  read(bytes: Uint8Array): number {
    const { size } = iommufd_vevent_header;
    if (bytes.length < size) return -errno.EINVAL;
    let done = 0;
    for (let event = this.#events[0]; event; event = this.#events[0]) {
      if (size > bytes.length - done) break;
      if (size + event.data.length > bytes.length - done) return done === 0 ? -errno.EINVAL : done;
      this.#events.shift();
      bytes.set(iommufd_vevent_header.encode({ flags: event.flags, sequence: event.sequence }), done);
      bytes.set(event.data, done + size);
      done += size + event.data.length;
    }
    return done;
  }

  write(_bytes: Uint8Array): number {
    return -errno.EINVAL;
  }

  override destroy(): void {
    this.#viommu.eventQueues.delete(this.#type);
    this.#viommu.users--;
  }
}
