/** KVM_SET_USER_MEMORY_REGION and REGION2: memslots made, moved, changed, overlapped and deleted. */

import fc from 'fast-check';
import {
  KVM_MEM_GUEST_MEMFD,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SET_USER_MEMORY_REGION2,
} from '../../../lib/abi/kvm.ts';
import { PAGE_SIZE } from '../../../lib/abi/linux.ts';
import { hex, mostly, oneIn, which } from '../choices.ts';
import { type Call, command } from '../command.ts';
import { NO_SUCH_FD } from '../side.ts';
import type { Fd, Gmem, Place, Slot, Vm, World } from '../world.ts';

const PAGE = BigInt(PAGE_SIZE);
/** Where generated slots lie: few pages, so that they overlap and touch. */
export const GUEST_BASE = 0x1_0000_0000n;
export const GUEST_PAGES = 48;

interface Region {
  readonly id: number;
  readonly flags: number;
  readonly gpa: bigint;
  readonly size: bigint;
  readonly memory: Place;
  readonly gmem: Fd | undefined;
  readonly gmemOffset: bigint;
}

const isGmem = (fd: Fd | undefined): Gmem | undefined => (fd?.of.kind === 'gmem' ? fd.of : undefined);

function toSlot(region: Region): Slot {
  const gmem = region.flags & KVM_MEM_GUEST_MEMFD ? isGmem(region.gmem) : undefined;
  return {
    id: region.id,
    flags: region.flags,
    gpa: region.gpa,
    pages: Number(region.size / PAGE),
    memory: region.memory,
    gmem,
    gmemPage: Number(region.gmemOffset / PAGE),
  };
}

function describe({ id, flags, gpa, size, memory, gmem, gmemOffset }: Region): string {
  const place = memory.mapping ? `${memory.mapping.name} + ${hex(memory.offset)}` : hex(memory.offset);
  const backing = flags & KVM_MEM_GUEST_MEMFD ? `, ${gmem?.name ?? 'no such fd'} at ${hex(gmemOffset)}` : '';
  return `slot ${hex(id)}, flags ${flags}, gpa ${hex(gpa)}, size ${hex(size)}, address ${place}${backing}`;
}

/** `first`: by the older request, which knows no guest_memfd. */
function setRegion(on: Fd, vm: Vm, region: Region, first: boolean): Call {
  const name = first ? 'KVM_SET_USER_MEMORY_REGION' : 'KVM_SET_USER_MEMORY_REGION2';
  const request = first ? KVM_SET_USER_MEMORY_REGION : KVM_SET_USER_MEMORY_REGION2;
  return {
    text: `${name}(${on.name}, ${describe(region)})`,
    run: (side) =>
      side.ioctl(side.fd(on), request, {
        slot: region.id,
        flags: region.flags,
        guest_phys_addr: region.gpa,
        memory_size: region.size,
        userspace_addr: BigInt.asUintN(64, side.address(region.memory)),
        ...(first
          ? {}
          : {
              guest_memfd_offset: region.gmemOffset,
              guest_memfd: region.gmem ? side.fd(region.gmem) : NO_SUCH_FD,
            }),
      }),
    agreed: ({ ret }) => {
      if (ret < 0) return;
      if (region.size === 0n) vm.slots.delete(region.id);
      else vm.slots.set(region.id, toSlot(region));
    },
  };
}

const ids = mostly([0, 1, 2, 3], [32_762, 32_764, 0xffff, 0x1_0000, 0x1_0001, 0x2_0000, 0xffff_0000], 10);
const ODD_ADDRESSES = [
  0x1000n,
  1n,
  0x7fff_ffff_f000n,
  0x7fff_ffff_e000n,
  0x8000_0000_0000n,
  1n << 63n,
  (1n << 64n) - PAGE,
];
const ODD_GPAS = [0n, 1n, PAGE - 1n, GUEST_BASE - PAGE, 1n << 35n, 1n << 53n, 1n << 63n, (1n << 64n) - PAGE];
/** Valid ones would cost the kernel memory; these are refused for their size alone. */
const ODD_SIZES = [1n, PAGE - 1n, PAGE + 1n, 0x8000_0000n * PAGE, (1n << 64n) - PAGE, 1n << 63n];

const placed = fc.record({ which, page: fc.nat(GUEST_PAGES - 1), pages: fc.integer({ min: 1, max: 16 }) });

/** Where the slot's ordinary memory is: in a mapping that holds all of it, or nowhere. */
function placeFor(world: World, nth: number, page: number, pages: number): Place {
  const mapping = world.mapping(nth);
  if (!mapping || mapping.pages < pages) return { mapping: undefined, offset: 0n };
  return { mapping, offset: BigInt(page % (mapping.pages - pages + 1)) * PAGE };
}

const plainSlot = command({
  name: 'slot-plain',
  weight: 4,
  choices: fc.record({
    placed,
    id: ids,
    flags: mostly([0], [KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, 3, 8, 1 << 31], 5),
    mapping: which,
    oddAddress: mostly([undefined], ODD_ADDRESSES, 12),
    oddGpa: mostly([undefined], ODD_GPAS, 16),
    oddSize: mostly([undefined], ODD_SIZES, 20),
    first: fc.boolean(),
  }),
  expects: () => ['ok', 'EINVAL', 'EEXIST'],
  prepare(world, choice) {
    const on = world.fd(choice.placed.which, 'vm');
    if (on?.of.kind !== 'vm') return undefined;
    const { page, pages } = choice.placed;
    const memory = placeFor(world, choice.mapping, page, pages);
    const region: Region = {
      id: choice.id,
      flags: choice.flags >>> 0,
      gpa: choice.oddGpa ?? GUEST_BASE + BigInt(page) * PAGE,
      size: choice.oddSize ?? BigInt(pages) * PAGE,
      memory: choice.oddAddress === undefined ? memory : { mapping: undefined, offset: choice.oddAddress },
      gmem: undefined,
      gmemOffset: 0n,
    };
    return setRegion(on, on.of, region, choice.first);
  },
});

/** Of the VM's own guest_memfds most of the time: another's is refused. */
function gmemFor(world: World, vm: Vm, nth: number, any: boolean): Fd | undefined {
  if (any) return nth === 0 ? undefined : world.fd(nth);
  for (let i = 0; i < world.fds.length; i++) {
    const fd = world.fds[(nth + i) % world.fds.length];
    if (fd?.of.kind === 'gmem' && fd.of.vm === vm) return fd;
  }
  return undefined;
}

const gmemSlot = command({
  name: 'slot-guest-memfd',
  weight: 7,
  choices: fc.record({
    placed,
    id: ids,
    gmem: which,
    anyGmem: oneIn(10),
    first: fc.nat(15),
    flags: mostly([KVM_MEM_GUEST_MEMFD], [5, 6, 12], 16),
    memory: fc.nat(3),
    oddGpa: mostly([undefined], ODD_GPAS, 16),
    oddSize: mostly([undefined], ODD_SIZES, 20),
    oddOffset: mostly([undefined], [1n, 17n * PAGE, 1n << 63n, (1n << 63n) - PAGE, (1n << 64n) - PAGE], 12),
  }),
  expects: () => ['ok', 'EINVAL', 'EEXIST', 'EBADF'],
  prepare(world, choice) {
    const on = world.fd(choice.placed.which, 'vm');
    if (on?.of.kind !== 'vm') return undefined;
    const fd = gmemFor(world, on.of, choice.gmem, choice.anyGmem);
    if (!fd && !choice.anyGmem) return undefined;
    const { page, pages } = choice.placed;
    const reach = Math.min(16, Math.max(1, isGmem(fd)?.pages ?? 1));
    const first = choice.first % reach;
    const length = 1 + ((pages - 1) % (reach - first));
    const gmemOffset = choice.oddOffset ?? BigInt(first) * PAGE;
    const region: Region = {
      id: choice.id,
      flags: choice.flags,
      gpa: choice.oddGpa ?? GUEST_BASE + BigInt(page) * PAGE,
      size: choice.oddSize ?? BigInt(length) * PAGE,
      memory: gmemMemory(world, choice.memory, fd, first, length),
      gmem: fd,
      gmemOffset,
    };
    return setRegion(on, on.of, region, false);
  },
});

/** None, the very same range of the file, or any mapping. */
function gmemMemory(world: World, choice: number, fd: Fd | undefined, first: number, pages: number): Place {
  if (choice === 0) return { mapping: undefined, offset: 0n };
  const own = world.mappings.find(
    (mapping) =>
      mapping &&
      mapping.of === fd?.of &&
      mapping.firstPage <= first &&
      mapping.firstPage + mapping.pages >= first + pages,
  );
  if (own && choice < 3) return { mapping: own, offset: BigInt(first - own.firstPage) * PAGE };
  return placeFor(world, choice, first, pages);
}

const changeSlot = command({
  name: 'slot-change',
  weight: 2,
  choices: fc.record({ which, slot: which, page: fc.nat(GUEST_PAGES - 1), what: fc.nat(4), flags: fc.nat(7) }),
  expects: () => ['ok', 'EINVAL', 'EEXIST'],
  prepare(world, { which: nth, slot: nthSlot, page, what, flags }) {
    const on = world.fd(nth, 'vm');
    const slots = on?.of.kind === 'vm' ? [...on.of.slots.values()] : [];
    if (on?.of.kind !== 'vm' || slots.length === 0) return undefined;
    const slot = slots[nthSlot % slots.length]!;
    const fd = world.fds.find((one) => one && one.of === slot.gmem);
    const region: Region = {
      id: slot.id,
      flags: what === 3 ? flags : slot.flags,
      gpa: what < 3 ? GUEST_BASE + BigInt(page) * PAGE : slot.gpa,
      size: BigInt(what === 4 ? slot.pages + 1 : slot.pages) * PAGE,
      memory: slot.memory.mapping?.live === false ? { mapping: undefined, offset: PAGE } : slot.memory,
      gmem: fd,
      gmemOffset: BigInt(slot.gmemPage) * PAGE,
    };
    return setRegion(on, on.of, region, false);
  },
});

const deleteSlot = command({
  name: 'slot-delete',
  weight: 3,
  choices: fc.record({ which, slot: which, odd: oneIn(8), first: fc.boolean() }),
  expects: () => ['ok', 'EINVAL'],
  prepare(world, { which: nth, slot: nthSlot, odd, first }) {
    const on = world.fd(nth, 'vm');
    if (on?.of.kind !== 'vm') return undefined;
    const ids = [...on.of.slots.keys()];
    if (ids.length === 0 && !odd) return undefined;
    const region: Region = {
      id: odd ? nthSlot : ids[nthSlot % ids.length]!,
      flags: 0,
      gpa: 0n,
      size: 0n,
      memory: { mapping: undefined, offset: 0n },
      gmem: undefined,
      gmemOffset: 0n,
    };
    return setRegion(on, on.of, region, first);
  },
});

export const slotCommands = [plainSlot, gmemSlot, changeSlot, deleteSlot];
