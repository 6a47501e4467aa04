/** mmap, munmap, madvise, and the host's own accesses. */

import fc from 'fast-check';
import {
  MADV_DONTNEED,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MAP_ANONYMOUS,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../../lib/abi/linux.ts';
import { hex, mostly, oneIn, which } from '../choices.ts';
import { command } from '../command.ts';
import { seen } from '../seen.ts';
import type { Mapping, World } from '../world.ts';

const PAGE = BigInt(PAGE_SIZE);
const RW = PROT_READ | PROT_WRITE;

/** A mapping that stays accessible as the process's own memory must not grow beyond this. */
const MOST_PAGES = 48;

const mmap = command({
  name: 'mmap',
  weight: 4,
  choices: fc.record({
    which,
    anyFile: oneIn(12),
    anonymous: oneIn(4),
    pages: fc.integer({ min: 0, max: 20 }),
    whole: fc.boolean(),
    first: mostly([0, 0, 1, 2, 3], [15, 16, 17], 8),
    offsetBy: mostly([0n], [1n, PAGE - 1n, (1n << 63n) - PAGE, -PAGE], 16),
    prot: mostly([RW], [PROT_READ, PROT_NONE, PROT_WRITE, RW | PROT_EXEC], 6),
    flags: mostly([MAP_SHARED], [MAP_PRIVATE, MAP_SHARED_VALIDATE, MAP_SHARED | MAP_POPULATE, 0, 4], 8),
  }),
  expects: () => ['ok', 'EINVAL', 'ENODEV', 'EPERM', 'EOVERFLOW'],
  prepare(world, choice) {
    const place = world.mappings.indexOf(undefined);
    if (place < 0) return undefined;
    const on = choice.anonymous
      ? undefined
      : choice.anyFile
        ? world.fd(choice.which, 'vm', 'gmem')
        : world.fd(choice.which, 'gmem', 'memfd');
    if (!on && !choice.anonymous) return undefined;
    const of = on?.of.kind === 'gmem' || on?.of.kind === 'memfd' ? on.of : undefined;
    const first = choice.whole || !of ? 0 : choice.first;
    const pages = choice.whole ? Math.min(of?.pages ?? 4, MOST_PAGES) : choice.pages;
    const flags = on ? choice.flags : choice.flags | MAP_ANONYMOUS;
    const offset = BigInt.asIntN(64, BigInt(first) * PAGE + choice.offsetBy);
    const mapping: Mapping = { name: world.name('map'), of, firstPage: first, pages, prot: choice.prot, live: true };
    const length = pages * PAGE_SIZE;
    return {
      text: `${mapping.name} = mmap(${on?.name ?? 'no fd'}, ${hex(length)}, prot ${choice.prot}, flags ${hex(flags)}, ${hex(offset)})`,
      run: (side) => {
        const fd = on ? side.fd(on) : 0xffff_ffff | 0;
        return side.adoptMapping(mapping, side.syscalls.mmapSync(length, choice.prot, flags, fd, offset), length);
      },
      agreed: ({ ret }) => {
        if (ret >= 0) world.mappings[place] = mapping;
      },
    };
  },
});

const munmap = command({
  name: 'munmap',
  weight: 2,
  choices: which,
  expects: () => ['ok'],
  prepare(world, nth) {
    const mapping = world.mapping(nth);
    if (!mapping || mapping.held) return undefined;
    return {
      text: `munmap(${mapping.name})`,
      run: (side) => {
        const { address, length } = side.mappings.get(mapping)!;
        side.mappings.delete(mapping);
        return seen(side.syscalls.munmapSync(address, length));
      },
      agreed: () => {
        mapping.live = false;
        world.mappings[world.mappings.indexOf(mapping)] = undefined;
      },
    };
  },
});

interface Span {
  readonly mapping: Mapping;
  readonly offset: bigint;
  readonly length: number;
}

const ADVICE = [MADV_DONTNEED, MADV_POPULATE_READ, MADV_POPULATE_WRITE];
/** The mock knows no others of the kernel's. */
const NO_ADVICE = 99;

const madvise = command({
  name: 'madvise',
  weight: 3,
  choices: fc.record({
    which,
    first: fc.nat(15),
    pages: fc.nat(15),
    odd: mostly([0], [1, 0x800], 12),
    advice: mostly(ADVICE, [NO_ADVICE], 16),
  }),
  expects: () => ['ok', 'EINVAL', 'EFAULT'],
  prepare(world, { which: nth, first, pages, odd, advice: chosen }) {
    const advice = ADVICE.includes(chosen) ? chosen : NO_ADVICE;
    const mapping = world.mapping(nth);
    if (!mapping || mapping.pages === 0) return undefined;
    const at = first % mapping.pages;
    const length = (pages % (mapping.pages - at + 1)) * PAGE_SIZE;
    const offset = BigInt(at) * PAGE + BigInt(length > odd ? odd : 0);
    const size = length > odd ? length - odd : length;
    return {
      text: `madvise(${mapping.name} + ${hex(offset)}, ${hex(size)}, ${advice})`,
      run: (side) => seen(side.syscalls.madviseSync(side.address({ mapping, offset }), size, advice)),
    };
  },
});

/** Around page borders most of the time, and over all of a page now and then. */
const span = fc.record({
  which,
  page: fc.nat(15),
  within: mostly([0, PAGE_SIZE - 8, PAGE_SIZE - 1], [1, 100, 2048], 4),
  length: mostly([8, 1, 16], [0, PAGE_SIZE, 2 * PAGE_SIZE, 3 * PAGE_SIZE], 4),
});

function spanIn(
  world: World,
  { which: nth, page, within, length }: { which: number; page: number; within: number; length: number },
): Span | undefined {
  const mapping = world.mapping(nth);
  if (!mapping || mapping.pages === 0) return undefined;
  const offset = (page % mapping.pages) * PAGE_SIZE + within;
  return { mapping, offset: BigInt(offset), length: Math.min(length, mapping.pages * PAGE_SIZE - offset) };
}

const hostRead = command({
  name: 'host-read',
  weight: 4,
  choices: span,
  expects: () => ['ok', 'EFAULT'],
  prepare(world, choice) {
    const found = spanIn(world, choice);
    if (!found) return undefined;
    const { mapping, offset, length } = found;
    return {
      text: `read ${length} bytes of ${mapping.name} at ${hex(offset)}`,
      run: (side) => {
        const bytes = new Uint8Array(length);
        return { ret: side.syscalls.copyOutSync(side.address({ mapping, offset }), bytes), bytes };
      },
    };
  },
});

const hostWrite = command({
  name: 'host-write',
  weight: 5,
  choices: fc.record({ span, byte: fc.integer({ min: 1, max: 255 }) }),
  expects: () => ['ok', 'EFAULT'],
  prepare(world, { span: choice, byte }) {
    const found = spanIn(world, choice);
    if (!found) return undefined;
    const { mapping, offset, length } = found;
    return {
      text: `write ${length} bytes ${hex(byte)} to ${mapping.name} at ${hex(offset)}`,
      run: (side) => {
        const bytes = new Uint8Array(length).fill(byte);
        return seen(side.syscalls.copyInSync(side.address({ mapping, offset }), bytes));
      },
    };
  },
});

export const mappingCommands = [mmap, munmap, madvise, hostRead, hostWrite];
