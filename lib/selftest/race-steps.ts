/** Steps of races, from the table of ioctls. */

import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  type IoctlIn,
  KVM_CREATE_GUEST_MEMFD,
  KVM_MEM_GUEST_MEMFD,
  KVM_MEMORY_ATTRIBUTE_PRIVATE,
  KVM_SET_MEMORY_ATTRIBUTES,
  KVM_SET_USER_MEMORY_REGION2,
  MAP_SHARED,
  PAGE_SIZE,
  PROT_READ,
} from '../abi/index.ts';
import type { RaceProgram, RaceStep } from '../syscalls/race.ts';
import type { Random } from '../syscalls/random.ts';
import type { T } from './context.ts';
import { RawConversion } from './conversion.ts';
import type { State } from './scenario.ts';

type IoctlRaceStep = Extract<RaceStep, { call: 'ioctl' }>;

interface Fd {
  readonly fd: number;
}

export interface Pages {
  readonly first: number;
  readonly count: number;
}

const GUEST_MEMFD_AT = KVM_SET_USER_MEMORY_REGION2.struct.fields.find(({ name }) => name === 'guest_memfd')!.offset;

const bytes = (pages: number): number => pages * PAGE_SIZE;

/** A conversion in place; the page that blocks one is counted. */
export function convert(t: T, { fd }: Fd, { first, count }: Pages, to: State): RaceStep {
  const {
    request,
    bytes: struct,
    errorOffsetAt,
  } = new RawConversion(t, {
    offset: bytes(first),
    size: bytes(count),
    to,
  });
  return { call: 'ioctl', fd, request, struct, wordAt: errorOffsetAt };
}

/** A conversion by the VM's attributes. */
export function setAttributes({ fd }: Fd, gpa: bigint, { first, count }: Pages, to: State): RaceStep {
  const { request, struct } = KVM_SET_MEMORY_ATTRIBUTES;
  const attributes = to === 'private' ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0n;
  const address = gpa + BigInt(bytes(first));
  return { call: 'ioctl', fd, request, struct: struct.encode({ address, size: bytes(count), attributes }) };
}

export function punch({ fd }: Fd, { first, count }: Pages): RaceStep {
  const mode = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
  return { call: 'fallocate', fd, mode, offset: BigInt(bytes(first)), length: BigInt(bytes(count)) };
}

export function allocate({ fd }: Fd, { first, count }: Pages): RaceStep {
  const range = { offset: BigInt(bytes(first)), length: BigInt(bytes(count)) };
  return { call: 'fallocate', fd, mode: FALLOC_FL_KEEP_SIZE, ...range };
}

export function map({ fd }: Fd, { first, count }: Pages): RaceStep {
  const offset = BigInt(bytes(first));
  return { call: 'mmap', length: bytes(count), prot: PROT_READ, flags: MAP_SHARED, fd, offset };
}

/** Sets a memory region; without a size it is deleted. */
export function region({ fd }: Fd, values: IoctlIn<typeof KVM_SET_USER_MEMORY_REGION2>): IoctlRaceStep {
  const { request, struct } = KVM_SET_USER_MEMORY_REGION2;
  return { call: 'ioctl', fd, request, struct: struct.encode(values) };
}

/** A new file of one page in a slot, whose only descriptor is closed while it is there. */
export function fileComesAndGoes(vm: Fd, slot: number, gpa: bigint, flags: bigint): RaceProgram {
  const create = KVM_CREATE_GUEST_MEMFD;
  const bind = region(vm, { slot, flags: KVM_MEM_GUEST_MEMFD, guest_phys_addr: gpa, memory_size: PAGE_SIZE });
  const made = create.struct.encode({ size: PAGE_SIZE, flags });
  return [
    { call: 'ioctlFd', fd: vm.fd, request: create.request, struct: made },
    {
      ...bind,
      fdAt: GUEST_MEMFD_AT,
    },
    { call: 'close' },
    region(vm, { slot }),
  ];
}

export interface Cells {
  readonly address: bigint;
  readonly pages: Pages;
  /** Where on each page, and how many bytes; nobody else writes there. */
  readonly at: number;
  readonly length: number;
  readonly zeroWillDo?: boolean;
}

/** Writes and reads bytes of its own on pages in an order of chance. Patterns are never 0. */
export function touch(random: Random, { address, pages, at, length, zeroWillDo = false }: Cells): RaceProgram {
  return somePages(random, pages, 64).flatMap(({ first }): RaceStep[] => {
    const cell = address + BigInt(bytes(first) + at);
    return [
      { call: 'copyIn', address: cell, bytes: new Uint8Array(length).fill(1 + random.below(255)) },
      { call: 'copyOut', address: cell, length, zeroWillDo },
    ];
  });
}

/** So many single pages of a range, in an order of chance. */
export function somePages(random: Random, { first, count }: Pages, howMany: number): Pages[] {
  return Array.from({ length: howMany }, () => ({ first: first + random.below(count), count: 1 }));
}

/** So many ranges within a range. */
export function someRanges(random: Random, { first, count }: Pages, howMany: number): Pages[] {
  return Array.from({ length: howMany }, () => {
    const at = random.below(count);
    return { first: first + at, count: 1 + random.below(count - at) };
  });
}
