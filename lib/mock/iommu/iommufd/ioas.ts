/** An I/O address space as an object of an iommufd. */

import type { Journal, Reason, Step } from '../../journal.ts';
import type { PageRange } from '../../ranges.ts';
import type { IommuHost } from '../host.ts';
import type { Area } from '../iova/area.ts';
import { IoPageTable } from '../iova/io-page-table.ts';
import { toIovaPages } from '../iova/iova-pages.ts';
import { IommufdObject } from './objects.ts';

/** Who must know which areas show a guest_memfd. */
export interface NotifiedAreas {
  add(ioas: Ioas, area: Area): void;
  remove(area: Area): void;
}

export class Ioas extends IommufdObject {
  readonly table: IoPageTable;
  readonly #journal: Journal;
  readonly #owner: string;
  readonly #notified: NotifiedAreas | undefined;
  readonly #parted = new Map<Area, (range: PageRange) => void>();

  /** `owner`: "iommufd 101", for the journal. */
  constructor(owner: string, host: Pick<IommuHost, 'journal' | 'restarts'>, notified?: NotifiedAreas) {
    super();
    this.#owner = owner;
    this.#notified = notified;
    this.#journal = host.journal;
    this.table = new IoPageTable({
      added: (area) => this.#watch(area),
      removed: (area) => this.#unwatch(area),
      record: (step, area) => this.record(step, area.start, area.last),
      heldOff: ({ start, end }, settled) => {
        host.journal.record('iommu-held-off', this.title, start, end);
        return host.restarts.after(settled);
      },
    });
  }

  /** "iommufd 101 ioas 1", for the journal. */
  get title(): string {
    return `${this.#owner} ioas ${this.id}`;
  }

  record(step: Step, start: bigint, last: bigint, { reason, detail }: Note = {}): void {
    const pages = toIovaPages(start, last);
    this.#journal.record(step, this.title, pages.start, pages.end, reason, detail);
  }

  #watch(area: Area): void {
    const parted = (range: PageRange): void => {
      const { start, last } = area.addressesOf(range);
      if (area.filled && start <= last) this.record('iommu-stale', start, last, { reason: 'truncate' });
    };
    this.#parted.set(area, parted);
    area.pages.onPart.add(parted);
    this.#notified?.add(this, area);
  }

  #unwatch(area: Area): void {
    const parted = this.#parted.get(area);
    if (parted) area.pages.onPart.delete(parted);
    this.#parted.delete(area);
    this.#notified?.remove(area);
  }

  override destroy(): void {
    this.table.unmapAll();
  }
}

interface Note {
  readonly reason?: Reason;
  readonly detail?: string;
}
