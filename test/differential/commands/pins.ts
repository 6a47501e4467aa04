/** Holding pages through a mapping, as a device's DMA would, reading them, and letting go. */

import fc from 'fast-check';
import { PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../../lib/abi/linux.ts';
import { hex, which } from '../choices.ts';
import { command } from '../command.ts';
import { pinAt, pinInMock } from '../pinned.ts';
import { type Seen, seen } from '../seen.ts';
import type { Side } from '../side.ts';
import type { Fd, Mapping, Pin } from '../world.ts';

const PAGE = BigInt(PAGE_SIZE);
const RW = PROT_READ | PROT_WRITE;

const pin = command({
  name: 'pin',
  weight: 2,
  choices: fc.record({ which, first: fc.nat(15), pages: fc.nat(3) }),
  expects: ({ pins }) => (pins ? ['ok', 'EFAULT'] : []),
  prepare(world, { which: nth, first, pages }) {
    const place = world.pins.indexOf(undefined);
    const mapping = world.mapping(nth);
    if (!world.facts.pins || place < 0 || !mapping || mapping.pages === 0) return undefined;
    if (mapping.of?.kind !== 'gmem' || mapping.prot !== RW) return undefined;
    const fd = world.fds.find((one) => one?.of === mapping.of);
    if (!fd) return undefined;
    const at = first % mapping.pages;
    const bytes = Math.min(pages + 1, mapping.pages - at) * PAGE_SIZE;
    const made: Pin = { name: world.name('pin'), bytes };
    return {
      text: `${made.name} = pin ${hex(bytes)} bytes of ${mapping.name} at ${hex(at * PAGE_SIZE)}`,
      run: (side) => take(side, made, { fd, mapping, offset: BigInt(at) * PAGE }),
      agreed: ({ ret }) => {
        if (ret >= 0) world.pins[place] = made;
      },
    };
  },
});

function take(side: Side, made: Pin, { fd, mapping, offset }: { fd: Fd; mapping: Mapping; offset: bigint }): Seen {
  const { syscalls, mock } = side;
  const pinned = mock
    ? pinInMock(mock, side.fd(fd), BigInt(mapping.firstPage) * PAGE + offset, made.bytes)
    : pinAt(syscalls, side.address({ mapping, offset }), made.bytes);
  if (typeof pinned === 'number') return seen(pinned);
  side.pins.set(made, pinned);
  return seen(0);
}

const readPin = command({
  name: 'pin-read',
  weight: 1,
  choices: which,
  expects: ({ pins }) => (pins ? ['ok'] : []),
  prepare(world, nth) {
    const held = world.pin(nth);
    if (!held) return undefined;
    return { text: `read what ${held.name} holds`, run: ({ pins }) => ({ ret: 0, bytes: pins.get(held)!.read() }) };
  },
});

const unpin = command({
  name: 'unpin',
  weight: 2,
  choices: which,
  expects: ({ pins }) => (pins ? ['ok'] : []),
  prepare(world, nth) {
    const held = world.pin(nth);
    if (!held) return undefined;
    return {
      text: `unpin ${held.name}`,
      run: ({ pins }) => {
        pins.get(held)!.release();
        pins.delete(held);
        return seen(0);
      },
      agreed: () => {
        world.pins[world.pins.indexOf(held)] = undefined;
      },
    };
  },
});

export const pinCommands = [pin, readPin, unpin];
