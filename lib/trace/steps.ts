/** What the watched functions did, as steps of the journal: the same ones that the mock records of itself. */

import {
  FALLOC_FL_PUNCH_HOLE,
  KVM_GMEM_CONVERT_PRIVATE,
  KVM_GMEM_CONVERT_SHARED,
  KVM_MEMORY_ATTRIBUTE_PRIVATE,
  KVM_SET_MEMORY_ATTRIBUTES2,
  PAGE_SIZE,
} from '../abi/index.ts';
import type { JournalEntry, PageRange, Reason, Step } from '../mock/index.ts';
import type { TraceEvent } from './event.ts';

type Values = TraceEvent['values'];

/** `endsAreSeen`: a function with the file's range ends invalidations; else they end in the order they began in. */
export function stepsOf(events: readonly TraceEvent[], endsAreSeen: boolean): JournalEntry[] {
  const steps: JournalEntry[] = [];
  const calls = new Map<number, Call>();
  const names = new Names();
  for (const { name, thread, values } of events) {
    const call = calls.get(thread);
    if (name === 'ioctl' || name === 'fallocate' || name === 'release') {
      const reason = reasonOf(name, values);
      if (reason !== undefined)
        calls.set(thread, new Call(steps, names, reason, names.file(values['file']), endsAreSeen));
    } else if (name === 'ioctl_ends' || name === 'fallocate_ends' || name === 'release_ends') {
      calls.delete(thread);
    } else call?.[name](values);
  }
  return steps;
}

function reasonOf(call: 'ioctl' | 'fallocate' | 'release', values: Values): Reason | undefined {
  if (call === 'release') return 'release';
  if (call === 'fallocate') return Number(values['mode'] ?? 0n) & FALLOC_FL_PUNCH_HOLE ? 'truncate' : undefined;
  switch (Number(values['request'])) {
    case KVM_GMEM_CONVERT_SHARED.request:
      return 'convert-to-shared';
    case KVM_GMEM_CONVERT_PRIVATE.request:
      return 'convert-to-private';
    case KVM_SET_MEMORY_ATTRIBUTES2.request:
      return values['attributes'] === KVM_MEMORY_ATTRIBUTE_PRIVATE ? 'convert-to-private' : 'convert-to-shared';
    default:
      return undefined;
  }
}

/** Names for what the kernel calls by its address: in the order in which they turn up. */
class Names {
  readonly #files = new Map<bigint | undefined, string>();
  readonly #slots = new Map<bigint | undefined, string>();

  file(address: bigint | undefined): string {
    return nameOf(this.#files, 'guest_memfd', address);
  }

  slot(address: bigint | undefined): string {
    return nameOf(this.#slots, 'slot', address);
  }
}

function nameOf(names: Map<bigint | undefined, string>, what: string, address: bigint | undefined): string {
  const name = names.get(address) ?? `${what} ${names.size + 1}`;
  names.set(address, name);
  return name;
}

/** enum kvm_gmem_shareability of scripts/lab/patches/rfc-convert. */
const GUEST_ONLY = 1n;
/** The kernel's "up to the end", whatever the size of the file. */
const EVERYTHING = 2n ** 64n - 1n;

function range({ start = 0n, end = 0n, last }: Values): PageRange {
  const limit = last === undefined ? end : last + 1n;
  return { start: Number(start), end: limit >= EVERYTHING ? Infinity : Number(limit) };
}

const isWithin = (inner: PageRange, outer: PageRange): boolean => inner.start >= outer.start && inner.end <= outer.end;

/** Pages in rows. */
function runs(pages: readonly number[]): PageRange[] {
  const found: { start: number; end: number }[] = [];
  for (const page of [...pages].sort((a, b) => a - b)) {
    const row = found.at(-1);
    if (row && row.end >= page) row.end = page + 1;
    else found.push({ start: page, end: page + 1 });
  }
  return found;
}

/** One call into a guest_memfd, while it lasts. */
class Call {
  readonly #steps: JournalEntry[];
  readonly #names: Names;
  readonly #reason: Reason;
  readonly #target: string;
  readonly #endsAreSeen: boolean;
  /** Invalidations that have begun and not ended. */
  readonly #begun: PageRange[] = [];
  /** Parts of them whose state has yet to be stored. */
  #unstored: PageRange[] = [];
  /** In unmap_mapping_pages(): what KVM hears as an MMU notifier is a part of that step. */
  #unmapsHost = false;
  /** In truncate_inode_pages_range(): the pages it takes from the host's page tables. */
  #unmapped: number[] | undefined;
  #hole: PageRange = { start: 0, end: 0 };
  #checking: PageRange | undefined;

  constructor(steps: JournalEntry[], names: Names, reason: Reason, target: string, endsAreSeen: boolean) {
    this.#steps = steps;
    this.#names = names;
    this.#reason = reason;
    this.#target = target;
    this.#endsAreSeen = endsAreSeen;
  }

  #record(
    step: Step,
    { start, end }: PageRange,
    more: { target?: string; reason?: Reason; detail?: string } = {},
  ): void {
    this.#steps.push({ step, target: this.#target, start, end, ...more });
  }

  begin(values: Values): void {
    const begun = range(values);
    this.#begun.push(begun);
    this.#unstored.push(begun);
    this.#record('invalidate-begin', begun, { reason: this.#reason });
  }

  end(values: Values): void {
    if (!this.#endsAreSeen) return;
    this.#record('invalidate-end', range(values), { reason: this.#reason });
  }

  end_of_vm(): void {
    if (this.#endsAreSeen || this.#unmapsHost || this.#unmapped) return;
    const ended = this.#begun.shift();
    if (ended) this.#record('invalidate-end', ended, { reason: this.#reason });
  }

  unmap_guest(values: Values): void {
    if (this.#unmapsHost || this.#unmapped) return;
    this.#record('unmap-stage2', range(values), { target: this.#names.slot(values['slot']), reason: this.#reason });
  }

  unmap_host({ start = 0n, count = 0n }: Values): void {
    this.#unmapsHost = true;
    this.#record('unmap-host', range({ start, end: start + count }), { reason: this.#reason });
  }

  unmap_host_ends(): void {
    this.#unmapsHost = false;
  }

  unmap_folio({ page = 0n }: Values): void {
    this.#unmapped?.push(Number(page));
  }

  /** A range with many pages is looked at in several pieces, which end where the range does. */
  check(values: Values): void {
    if (this.#reason !== 'convert-to-private') return;
    const checked = range(values);
    if (this.#checking?.end === checked.end) return;
    this.#checking = checked;
    this.#record('check-references', checked);
  }

  check_ends({ unused, held }: Values): void {
    const last = this.#steps.at(-1);
    if (last?.step !== 'check-references' || unused === undefined) return;
    const who = held === undefined ? 'a page is held' : `page ${held} is held`;
    this.#steps[this.#steps.length - 1] = { ...last, detail: unused ? 'free' : who };
  }

  store(values: Values): void {
    const stored = range(values);
    if (values['last'] === undefined) this.#store(stored, values['value'] === GUEST_ONLY ? 'private' : 'shared');
    else this.#storeInTree(stored);
  }

  #store(stored: PageRange, detail: string): void {
    this.#unstored = this.#unstored.filter((begun) => !isWithin(begun, stored));
    this.#record('set-shareability', stored, { detail });
  }

  /**
   * A tree that keeps equal neighbours in one range is told of more than changes, so this is cut to what was announced.
   * The tree's functions call each other, and each of them is seen: the first counts.
   */
  #storeInTree(stored: PageRange): void {
    const detail = this.#reason === 'convert-to-private' ? 'private' : 'shared';
    const announced = this.#unstored.filter((begun) => isWithin(begun, stored));
    this.#unstored = this.#unstored.filter((begun) => !announced.includes(begun));
    for (const begun of announced) this.#record('set-shareability', begun, { detail });
  }

  truncate({ from = 0n, to = 0n }: Values): void {
    this.#hole = { start: Number(from) / PAGE_SIZE, end: (Number(to) + 1) / PAGE_SIZE };
    this.#unmapped = [];
  }

  truncate_ends(): void {
    for (const unmapped of runs(this.#unmapped ?? [])) this.#record('unmap-host', unmapped, { reason: this.#reason });
    this.#unmapped = undefined;
    this.#record('truncate', this.#hole, { reason: this.#reason });
  }
}
