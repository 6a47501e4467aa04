/** Counts what happened, from the mock's journal. */

import { PAGE_SIZE } from '../abi/linux.ts';
import type { JournalEntry, MockControls } from '../mock/index.ts';
import { RangeMap } from '../ranges/index.ts';

export interface Figures {
  /** Conversions that the guest asked for, and that were carried out: all, unless the host died. */
  readonly requests: number;
  readonly converted: number;
  /** Conversions that the kernel refused at first (EAGAIN). */
  readonly refused: number;
  /** Areas mapped and unmapped: by the VMM, and by the kernel of its own accord. */
  readonly maps: number;
  readonly unmaps: number;
  readonly kernelUnmaps: number;
  /** Bytes that came to be mapped, and that ceased to be; the same, once everything is closed. */
  readonly mappedBytes: number;
  readonly unmappedBytes: number;
  /** Large IOMMU page-table entries that the kernel had to split. */
  readonly splits: number;
  readonly peakPinnedBytes: number;
  /** Bytes that are pinned once everything is closed. */
  readonly pinnedBytesAtEnd: number;
  /** Mappings that a conversion left leading to private pages, until the VMM had unmapped them. */
  readonly staleWindows: number;
  /** Their pages, each times the transfers that devices made while it could be reached. */
  readonly stalePageTransfers: number;
  /** As `staleWindows`, but left on purpose, where the hardware checks every access. */
  readonly keptMappings: number;
  /** Transfers to private pages that got there, or that killed the host. */
  readonly hazards: number;
  /** Transfers to private pages through a mapping, stopped by the hardware with a fault. */
  readonly contained: number;
  /** Transfers to private pages that no mapping led to. */
  readonly stopped: number;
  /** Transfers to shared pages: those that arrived, and those that found nothing mapped. */
  readonly transfers: number;
  readonly lost: number;
  /** What the host died of; the run ended there. */
  readonly machineCheck: string | undefined;
}

const NOT_STALE = -1;

/** Which page a transfer goes to. */
export type Aim = 'shared' | 'private';

export class Tally {
  readonly #mock: MockControls;
  readonly #count = {
    requests: 0,
    converted: 0,
    refused: 0,
    maps: 0,
    unmaps: 0,
    kernelUnmaps: 0,
    mappedBytes: 0,
    unmappedBytes: 0,
    splits: 0,
    staleWindows: 0,
    stalePageTransfers: 0,
    keptMappings: 0,
    hazards: 0,
    contained: 0,
    stopped: 0,
    transfers: 0,
    lost: 0,
  };
  /** By I/O page: whether it leads anywhere, and how many transfers there had been when it went stale. */
  readonly #mapped = new RangeMap(false);
  readonly #staleSince = new RangeMap(NOT_STALE);
  /** Transfers so far, of all kinds. */
  #clock = 0;
  #ended = false;
  readonly #stop: () => void;

  constructor(mock: MockControls, requests: number) {
    this.#mock = mock;
    this.#count.requests = requests;
    this.#stop = mock.journal.listen((entry) => this.#see(entry));
  }

  refused(): void {
    this.#count.refused++;
  }

  converted(): void {
    this.#count.converted++;
  }

  /** One page of a device's transfer: what comes of it is in the journal. A dead host has none. */
  transfer(aim: Aim, work: () => void): void {
    if (this.#mock.machineCheck !== undefined) return;
    this.#clock++;
    const seen = new Set<string>();
    const stop = this.#mock.journal.listen(({ step }) => seen.add(step));
    work();
    stop();
    this.#count[outcomeOf(aim, seen, this.#mock.machineCheck !== undefined)]++;
  }

  /** What is unmapped from now on is not the guest's doing. */
  end(): void {
    this.#ended = true;
    this.#endStale(0, Number.POSITIVE_INFINITY);
  }

  /** After everything is closed. */
  figures(): Figures {
    this.#stop();
    const { dmaPinned, machineCheck } = this.#mock;
    return {
      ...this.#count,
      peakPinnedBytes: dmaPinned.peak * PAGE_SIZE,
      pinnedBytesAtEnd: dmaPinned.now * PAGE_SIZE,
      machineCheck,
    };
  }

  #see({ step, start, end, reason }: JournalEntry): void {
    switch (step) {
      case 'iommu-map':
        if (!this.#ended) this.#count.maps++;
        this.#count.mappedBytes += this.#setMapped(start, end, true);
        break;
      case 'iommu-unmap':
        if (!this.#ended) this.#count[reason === undefined ? 'unmaps' : 'kernelUnmaps']++;
        this.#count.unmappedBytes += this.#setMapped(start, end, false);
        this.#endStale(start, end);
        break;
      case 'iommu-split':
        this.#count.splits++;
        break;
      case 'iommu-stale':
        this.#count.staleWindows++;
        this.#staleSince.set(start, end, this.#clock);
        break;
      case 'iommu-keep':
        this.#count.keptMappings++;
        break;
    }
  }

  /** How many bytes that changed. */
  #setMapped(start: number, end: number, mapped: boolean): number {
    const changed = this.#mapped.within(start, end).filter(({ value }) => value !== mapped);
    this.#mapped.set(start, end, mapped);
    return changed.reduce((sum, run) => sum + run.end - run.start, 0) * PAGE_SIZE;
  }

  #endStale(start: number, end: number): void {
    for (const run of this.#staleSince.within(start, end)) {
      if (run.value === NOT_STALE) continue;
      this.#count.stalePageTransfers += (run.end - run.start) * (this.#clock - run.value);
      this.#staleSince.set(run.start, run.end, NOT_STALE);
    }
  }
}

function outcomeOf(
  aim: Aim,
  seen: ReadonlySet<string>,
  hostDied: boolean,
): 'transfers' | 'lost' | 'stopped' | 'hazards' | 'contained' {
  if (seen.has('hazard')) return hostDied || !seen.has('dma-fault') ? 'hazards' : 'contained';
  if (aim === 'private') return 'stopped';
  return seen.has('dma-fault') ? 'lost' : 'transfers';
}
