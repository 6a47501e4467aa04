/** From what functions were called to steps: for the functions that this and that kernel have. */

import { describe, expect, it } from 'vitest';
import { KVM_GMEM_CONVERT_PRIVATE, KVM_GMEM_CONVERT_SHARED, KVM_SET_MEMORY_ATTRIBUTES2 } from '../../lib/abi/index.ts';
import type { TraceEvent } from '../../lib/trace/event.ts';
import { stepsOf } from '../../lib/trace/steps.ts';

type Event = readonly [name: TraceEvent['name'], values?: Record<string, number | bigint>];

const THREAD = 10;
const events = (list: readonly Event[], thread = THREAD): TraceEvent[] =>
  list.map(([name, values = {}]) => ({
    name,
    thread,
    values: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, BigInt(value)])),
  }));
const text = (list: readonly TraceEvent[], endsAreSeen = true): string[] =>
  stepsOf(list, endsAreSeen).map(({ step, target, start, end, reason, detail }) =>
    [step, target, `${start}-${end}`, reason, detail].filter(Boolean).join(' '),
  );
const call = (request: { readonly request: number }, more: readonly Event[], attributes = 0): Event[] => [
  ['ioctl', { file: 1, request: request.request, attributes }],
  ...more,
  ['ioctl_ends', { result: 0 }],
];
const span = (start: number, end: number) => ({ start, end });

describe('with functions of the file itself', () => {
  it('a conversion to private, and what KVM hears of the host’s unmapping is no step of its own', () => {
    const list = call(KVM_GMEM_CONVERT_PRIVATE, [
      ['begin', span(1, 3)],
      ['unmap_guest', { slot: 7, ...span(101, 103) }],
      ['unmap_host', { start: 1, count: 2 }],
      ['unmap_guest', { slot: 7, ...span(101, 103) }],
      ['end_of_vm'],
      ['unmap_host_ends'],
      ['check', span(1, 3)],
      ['check_ends', { unused: 1, held: 99 }],
      ['store', { ...span(1, 3), value: 1 }],
      ['store', { start: 0, last: 5, value: 3 }],
      ['end', span(1, 3)],
      ['end_of_vm'],
    ]);
    expect(text(events(list))).toEqual([
      'invalidate-begin guest_memfd 1 1-3 convert-to-private',
      'unmap-stage2 slot 1 101-103 convert-to-private',
      'unmap-host guest_memfd 1 1-3 convert-to-private',
      'check-references guest_memfd 1 1-3 free',
      'set-shareability guest_memfd 1 1-3 private',
      'invalidate-end guest_memfd 1 1-3 convert-to-private',
    ]);
  });

  it('a refusal names the page; where its number could not be read it says that there is one', () => {
    const refusal = (values: Record<string, number>) =>
      text(
        events(
          call(KVM_GMEM_CONVERT_PRIVATE, [
            ['check', span(0, 4)],
            ['check_ends', values],
          ]),
        ),
      ).at(-1);
    expect(refusal({ unused: 0, held: 2 })).toBe('check-references guest_memfd 1 0-4 page 2 is held');
    expect(refusal({ unused: 0 })).toBe('check-references guest_memfd 1 0-4 a page is held');
  });

  it('states that are stored back are steps too', () => {
    const list = call(KVM_GMEM_CONVERT_SHARED, [
      ['store', { ...span(0, 1), value: 2 }],
      ['store', { ...span(0, 1), value: 1 }],
    ]);
    expect(text(events(list))).toEqual([
      'set-shareability guest_memfd 1 0-1 shared',
      'set-shareability guest_memfd 1 0-1 private',
    ]);
  });
});

describe('with functions that everybody uses', () => {
  it('references are looked at in several pieces, once; trees are told of more than changes', () => {
    const list = call(KVM_GMEM_CONVERT_PRIVATE, [
      ['begin', span(0, 1)],
      ['begin', span(2, 40)],
      ['check', { start: 0, last: 0 }],
      ['check', { start: 2, last: 39 }],
      ['check', { start: 33, last: 39 }],
      ['store', { start: 0, last: 1, value: 3 }],
      ['store', { start: 0, last: 39, value: 3 }],
      ['store', { start: 0, last: 39, value: 3 }],
      ['end_of_vm'],
      ['end_of_vm'],
    ]);
    expect(text(events(list), false)).toEqual([
      'invalidate-begin guest_memfd 1 0-1 convert-to-private',
      'invalidate-begin guest_memfd 1 2-40 convert-to-private',
      'check-references guest_memfd 1 0-1',
      'check-references guest_memfd 1 2-40',
      'set-shareability guest_memfd 1 0-1 private',
      'set-shareability guest_memfd 1 2-40 private',
      'invalidate-end guest_memfd 1 0-1 convert-to-private',
      'invalidate-end guest_memfd 1 2-40 convert-to-private',
    ]);
  });

  it('attributes2 says in its struct where to', () => {
    const begin: Event[] = [['begin', span(0, 2)]];
    expect(text(events(call(KVM_SET_MEMORY_ATTRIBUTES2, begin, 8)))).toEqual([
      'invalidate-begin guest_memfd 1 0-2 convert-to-private',
    ]);
    expect(text(events(call(KVM_SET_MEMORY_ATTRIBUTES2, begin, 0)))).toEqual([
      'invalidate-begin guest_memfd 1 0-2 convert-to-shared',
    ]);
  });
});

describe('holes and closed files', () => {
  it('pages leave the host’s page tables in rows, and then the file', () => {
    const list: Event[] = [
      ['fallocate', { file: 5, mode: 3 }],
      ['begin', span(2, 9)],
      ['truncate', { from: 2 * 4096, to: 9 * 4096 - 1 }],
      ['unmap_folio', { page: 2 }],
      ['unmap_guest', { slot: 1, ...span(0, 1) }],
      ['unmap_folio', { page: 3 }],
      ['unmap_folio', { page: 7 }],
      ['truncate_ends'],
      ['end_of_vm'],
      ['fallocate_ends', { result: 0 }],
    ];
    expect(text(events(list), false)).toEqual([
      'invalidate-begin guest_memfd 1 2-9 truncate',
      'unmap-host guest_memfd 1 2-4 truncate',
      'unmap-host guest_memfd 1 7-8 truncate',
      'truncate guest_memfd 1 2-9 truncate',
      'invalidate-end guest_memfd 1 2-9 truncate',
    ]);
  });

  it('a closed file goes up to its end, whatever that is', () => {
    const list: Event[] = [['release', { file: 5 }], ['begin', { start: 0, end: 2n ** 64n - 1n }], ['release_ends']];
    expect(text(events(list))).toEqual(['invalidate-begin guest_memfd 1 0-Infinity release']);
  });
});

describe('what is no step', () => {
  it('is anything outside a call, other requests, and allocating', () => {
    const inside: Event[] = [['begin', span(0, 1)], ['truncate', { from: 0, to: 4095 }], ['truncate_ends']];
    expect(text(events(inside))).toEqual([]);
    expect(text(events(call({ request: 0x1234 }, inside)))).toEqual([]);
    expect(text(events([['fallocate', { file: 1, mode: 1 }], ...inside, ['fallocate_ends']]))).toEqual([]);
  });
});

describe('several threads', () => {
  it('are told apart, and files and slots have the numbers in which they turned up', () => {
    const [first, second] = [
      events([['ioctl', { file: 1, request: KVM_GMEM_CONVERT_SHARED.request }]], 1),
      events([['ioctl', { file: 2, request: KVM_GMEM_CONVERT_PRIVATE.request }]], 2),
    ];
    const list = [
      ...first,
      ...second,
      ...events([['begin', span(0, 1)]], 2),
      ...events([['begin', span(5, 6)]], 1),
      ...events([['unmap_guest', { slot: 9, ...span(1, 2) }]], 1),
      ...events([['unmap_guest', { slot: 8, ...span(1, 2) }]], 2),
      ...events([['ioctl_ends']], 2),
      ...events([['end', span(0, 1)]], 2),
      ...events([['end', span(5, 6)]], 1),
    ];
    expect(text(list)).toEqual([
      'invalidate-begin guest_memfd 2 0-1 convert-to-private',
      'invalidate-begin guest_memfd 1 5-6 convert-to-shared',
      'unmap-stage2 slot 1 1-2 convert-to-shared',
      'unmap-stage2 slot 2 1-2 convert-to-private',
      'invalidate-end guest_memfd 1 5-6 convert-to-shared',
    ]);
  });
});
