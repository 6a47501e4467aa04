/** What a real kernel does inside a call, step by step, and what the mock of it says that it does. */

import { type Dialect, PAGE_SIZE } from '../../abi/index.ts';
import { type GuestMemfd, type Host, type Mapping, openHost } from '../../kvm/index.ts';
import type { JournalEntry, ProfileName } from '../../mock/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { CONVERTS_PLAIN, type State } from '../conversion.ts';
import { pinPages } from '../pin.ts';
import type { Requires } from '../requires.ts';
import { openStepLog, type StepLog } from '../step-log.ts';

const bytes = (pages: number): number => pages * PAGE_SIZE;
const GUEST = 0x1_0000_0000n;
/** Pages of the file in each slot; what comes after them is in none. */
const SLOTS = [
  { slot: 1, first: 0, count: 5, at: 0x100, userspace: true },
  { slot: 2, first: 5, count: 3, at: 0x40, userspace: false },
];

interface Play {
  /** A letter for each page: shared or private. */
  readonly layout: string;
  readonly pinned?: number;
  act(stage: Stage): Promise<unknown>;
}

/** The same file, slots and history on whichever host. */
interface Stage {
  readonly gmem: GuestMemfd;
  readonly mapping: Mapping;
}

async function setStage(t: T, host: Host, { layout, pinned }: Play): Promise<Stage> {
  const vm = await host.createVm({ type: layout.includes('P') || converts(host) ? 'sw-protected' : 'default' });
  t.defer(() => vm.close());
  const gmem = await vm.createGuestMemfd({ size: bytes(layout.length), mmap: true, initially: 'shared' });
  t.defer(() => gmem.close());
  const mapping = await gmem.map();
  t.defer(() => mapping.close());
  for (const { slot, first, count, at, userspace } of SLOTS) {
    await vm.setMemoryRegion({
      slot,
      guestPhysAddr: GUEST + BigInt(bytes(at)),
      size: bytes(count),
      gmem,
      gmemOffset: bytes(first),
      userspaceAddr: userspace ? mapping.address + BigInt(bytes(first)) : 0n,
    });
  }
  for (let page = 0; page < layout.length; page += 1) await mapping.write(bytes(page), Uint8Array.of(page));
  for (let page = 0; page < layout.length; page += 1) {
    if (layout[page] === 'P')
      await gmem.convert({ offset: bytes(page), size: PAGE_SIZE, to: 'private' }, { retry: RETRY });
  }
  if (pinned !== undefined) {
    const pin = pinPages(host, gmem, BigInt(bytes(pinned)), PAGE_SIZE);
    t.defer(() => pin.release());
  }
  return { gmem, mapping };
}

/** On a real kernel somebody may hold a page for a moment; one that is held here for good is not waited for. */
const RETRY = { attempts: 100, delayMs: 1 };

const converts = ({ features: { dialect } }: Host): boolean => dialect === 'rfc-convert' || dialect === 'attributes2';

/** The mocked kernel that speaks a dialect. */
const PROFILES: Readonly<Record<Dialect, ProfileName>> = {
  'rfc-convert': 'rfc-v2',
  attributes2: 'inplace-v13',
  'vm-attributes': 'linux-7.3',
  none: 'linux-6.18',
};

async function stepsOf(stage: Stage, log: StepLog, { act }: Play): Promise<readonly JournalEntry[]> {
  log.clear();
  await act(stage);
  return log.entries;
}

/** Files and slots have other names on each side; where the kernel tells less, less is compared. */
function lines(entries: readonly JournalEntry[], real: readonly JournalEntry[]): string[] {
  return entries.map(({ step, start, end, reason, detail }, i) => {
    const range = reason === 'release' && step !== 'unmap-stage2' ? 'all' : `${start}-${end}`;
    return [step, range, reason, real[i]?.detail === undefined ? undefined : detail].filter(Boolean).join(' ');
  });
}

async function compare(t: T, play: Play): Promise<void> {
  const log = t.steps;
  const real = await stepsOf(await setStage(t, t.host, play), log, play);
  const mock = await openHost({ backend: 'mock', kernel: PROFILES[t.features.dialect] });
  t.defer(() => mock.close());
  const mocked = await stepsOf(await setStage(t, mock, play), openStepLog(mock), play);
  t.equal(lines(real, real), lines(mocked, real), 'the steps');
}

const convert =
  (to: State, first: number, count: number) =>
  ({ gmem }: Stage) =>
    gmem.tryConvert({ offset: bytes(first), size: bytes(count), to });
const MIXED = 'SPSSPSSPSSPS';

const conversions = defineCase<Play>({
  name: 'convert-steps-agree-with-the-mock',
  about:
    'The kernel’s own functions, watched while it converts memory of several memslots and of none, do in the same ' +
    'order, for the same ranges, what the mock’s journal says of the same call; also when it refuses, or has nothing to do.',
  requires: ({ pinned }) => ({
    ...CONVERTS_PLAIN,
    steps: true,
    real: true,
    ...(pinned !== undefined && { pins: true }),
  }),
  variants: {
    'to-private': { layout: MIXED, act: convert('private', 0, 12) },
    'to-shared': { layout: MIXED, act: convert('shared', 0, 12) },
    'part-to-private': { layout: MIXED, act: convert('private', 3, 6) },
    'part-to-shared': { layout: MIXED, act: convert('shared', 4, 4) },
    'everything-to-private': { layout: 'SSSSSSSSSSSS', act: convert('private', 0, 12) },
    'in-no-slot': { layout: MIXED, act: convert('private', 8, 4) },
    'nothing-to-do': { layout: 'SSPPPSSSSSSS', act: convert('private', 2, 3) },
    'refused-at-its-first-page': { layout: MIXED, pinned: 0, act: convert('private', 0, 12) },
    'refused-in-the-middle': { layout: MIXED, pinned: 6, act: convert('private', 0, 12) },
    'a-pin-beside-it': { layout: MIXED, pinned: 2, act: convert('private', 5, 7) },
  },
  run: compare,
});

const TRUNCATES: Requires = { flags: ['mmap', 'init-shared'], steps: true, real: true };
const SHARED = 'SSSSSSSSSSSS';

const truncations = defineCase<Play>({
  name: 'truncate-steps-agree-with-the-mock',
  about: 'As convert-steps-agree-with-the-mock, for a punched hole and for a file that is closed.',
  requires: TRUNCATES,
  variants: {
    'a-hole-over-slots': { layout: SHARED, act: ({ gmem }) => gmem.punchHole({ offset: bytes(2), size: bytes(8) }) },
    'a-hole-in-one-slot': { layout: SHARED, act: ({ gmem }) => gmem.punchHole({ offset: bytes(6), size: bytes(1) }) },
    'a-hole-in-everything': { layout: SHARED, act: ({ gmem }) => gmem.punchHole({ offset: 0, size: bytes(12) }) },
    'a-closed-file': {
      layout: SHARED,
      act: async ({ gmem, mapping }) => {
        await mapping.close();
        await gmem.close();
      },
    },
  },
  run: compare,
});

export const cases: readonly AnyCase[] = [conversions, truncations];
