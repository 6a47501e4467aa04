/** What the guest does: reads, writes, and KVM_PRE_FAULT_MEMORY in its stead. */

import fc from 'fast-check';
import { PAGE_SIZE } from '../../../lib/abi/linux.ts';
import { KVM_PRE_FAULT_MEMORY } from '../../../lib/abi/vcpu.ts';
import { hex, mostly, oneIn, range, rangeChoice, which } from '../choices.ts';
import { type Call, command } from '../command.ts';
import { GuestOnSide, LONGEST } from '../guest.ts';
import type { Seen } from '../seen.ts';
import type { Side } from '../side.ts';
import type { Fd, Vm, World } from '../world.ts';
import { inSlot } from './convert.ts';
import { GUEST_BASE, GUEST_PAGES } from './slots.ts';

const PAGE = BigInt(PAGE_SIZE);
const GUEST_END = GUEST_BASE + BigInt(GUEST_PAGES) * PAGE;

/** More than this is never pre-faulted: a slot may be larger than the machine. */
const MOST_PAGES = 64n;

/** The VM's guest on this kernel, made when it is first needed. */
function guestOf(side: Side, on: Fd, vm: Vm): GuestOnSide | Seen {
  const there = side.guests.get(vm);
  if (there) return there;
  const made = GuestOnSide.make(side, side.fd(on));
  if (made instanceof GuestOnSide) side.guests.set(vm, made);
  return made;
}

/** An access by the guest of the VM behind `on`; undefined where it could reach memory that is not the test's. */
function access(
  world: World,
  on: Fd | undefined,
  where: { gpa: bigint; length: number },
  text: string,
  act: (guest: GuestOnSide, side: Side) => Seen,
): Call | undefined {
  if (on?.of.kind !== 'vm' || !world.facts.guest) return undefined;
  const vm = on.of;
  if (!world.isSafe(vm, where.gpa, BigInt(where.length))) return undefined;
  return {
    text: `the guest of ${on.name} ${text}`,
    run: (side) => {
      const guest = guestOf(side, on, vm);
      return guest instanceof GuestOnSide ? act(guest, side) : guest;
    },
    agreed: () => {
      vm.hasGuest = true;
    },
  };
}

const place = fc.record({
  which,
  slot: which,
  anywhere: oneIn(6),
  page: fc.nat(GUEST_PAGES - 1),
  within: mostly([0, PAGE_SIZE - 8, PAGE_SIZE - 1], [1, 2048], 4),
  length: mostly([8, 1, 16], [PAGE_SIZE, LONGEST, 0], 6),
});

function placeIn(
  world: World,
  choice: { which: number; slot: number; anywhere: boolean; page: number; within: number; length: number },
) {
  const on = world.fd(choice.which, 'vm');
  const slot =
    on?.of.kind === 'vm' && !choice.anywhere ? inSlot(on.of, choice.slot) : { base: GUEST_BASE, pages: GUEST_PAGES };
  // A slot far out or of a size of its own is left to other commands.
  const inWindow = slot.base >= GUEST_BASE && slot.base < GUEST_END;
  const { base, pages } = inWindow ? slot : { base: GUEST_BASE, pages: GUEST_PAGES };
  const gpa = base + BigInt(choice.page % pages) * PAGE + BigInt(choice.within);
  return { on, gpa, length: choice.length };
}

const guestExpects = ({ guest }: { guest: boolean }): string[] => (guest ? ['ok', 'EFAULT'] : []);

const guestRead = command({
  name: 'guest-read',
  weight: 7,
  choices: place,
  expects: guestExpects,
  prepare(world, choice) {
    const { on, gpa, length } = placeIn(world, choice);
    return access(world, on, { gpa, length }, `reads ${length} bytes at ${hex(gpa)}`, (guest) =>
      guest.read(gpa, length),
    );
  },
});

const guestWrite = command({
  name: 'guest-write',
  weight: 7,
  choices: fc.record({ place, byte: fc.integer({ min: 1, max: 255 }), copies: fc.boolean() }),
  expects: guestExpects,
  prepare(world, { place: choice, byte, copies }) {
    const { on, gpa, length } = placeIn(world, choice);
    const text = `${copies ? 'copies' : 'stores'} ${length} bytes ${hex(byte)} to ${hex(gpa)}`;
    return access(world, on, { gpa, length }, text, (guest) =>
      copies ? guest.write(gpa, new Uint8Array(length).fill(byte)) : guest.fill(gpa, length, byte),
    );
  },
});

const preFault = command({
  name: 'pre-fault',
  weight: 3,
  choices: fc.record({ which, slot: which, range: rangeChoice, anywhere: oneIn(6), flags: mostly([0n], [1n], 24) }),
  expects: ({ guest }) => (guest ? ['ok', 'EINVAL', 'ENOENT', 'EFAULT'] : []),
  prepare(world, choice) {
    const on = world.fd(choice.which, 'vm');
    if (on?.of.kind !== 'vm') return undefined;
    const { base, pages } = choice.anywhere ? { base: GUEST_BASE, pages: GUEST_PAGES } : inSlot(on.of, choice.slot);
    const { offset, size } = range(choice.range, pages, base);
    const values = { gpa: BigInt.asUintN(64, offset), size: BigInt.asUintN(64, size), flags: choice.flags };
    if (values.size > MOST_PAGES * PAGE && values.size % PAGE === 0n && values.gpa % PAGE === 0n) return undefined;
    const reach = { gpa: values.gpa, length: Number(values.size <= MOST_PAGES * PAGE ? values.size : 0n) };
    const text = `pre-faults gpa ${hex(values.gpa)}, size ${hex(values.size)}, flags ${values.flags}`;
    return access(world, on, reach, text, (guest, side) => side.ioctl(guest.vcpu, KVM_PRE_FAULT_MEMORY, values));
  },
});

export const guestCommands = [guestRead, guestWrite, preFault];
