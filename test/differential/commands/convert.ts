/** Conversion, by whichever request the kernel has; on stock kernels the VM's attributes. */

import fc from 'fast-check';
import { errno } from '../../../lib/abi/errno.ts';
import {
  KVM_GMEM_CONVERT_PRIVATE,
  KVM_GMEM_CONVERT_SHARED,
  KVM_SET_MEMORY_ATTRIBUTES2,
} from '../../../lib/abi/guest-memfd.ts';
import type { StructIoctl } from '../../../lib/abi/ioctl.ts';
import { KVM_MEMORY_ATTRIBUTE_PRIVATE, KVM_SET_MEMORY_ATTRIBUTES } from '../../../lib/abi/kvm.ts';
import { PAGE_SIZE } from '../../../lib/abi/linux.ts';
import { type ByteRange, hex, mostly, oneIn, pick, type RangeChoice, range, rangeChoice, which } from '../choices.ts';
import { type Call, command } from '../command.ts';
import type { Seen } from '../seen.ts';
import type { Side } from '../side.ts';
import type { Facts, Fd, Vm, World } from '../world.ts';
import { GUEST_BASE, GUEST_PAGES } from './slots.ts';

const PAGE = BigInt(PAGE_SIZE);
const U64 = (1n << 64n) - 1n;

/** A kernel stores VM attributes page by page, and would be busy for days. */
const MOST_PAGES = 512n;

/**
 * A real kernel refuses a conversion once in a while for a reference that nobody holds for long; one that lasts is
 * still there after so many attempts. The struct is handed in as it was each time.
 */
const ATTEMPTS = 5;

function convertOn(side: Side, fd: number, ioctl: StructIoctl, values: object): Seen {
  for (let attempt = 1; ; attempt++) {
    const answer = side.ioctl(fd, ioctl, values);
    if (answer.ret !== -errno.EAGAIN || attempt === ATTEMPTS) return answer;
  }
}

interface Choice {
  readonly which: number;
  readonly range: RangeChoice;
  readonly toPrivate: boolean;
  readonly odd: number;
  readonly errorOffset: bigint;
}

const choices: fc.Arbitrary<Choice> = fc.record({
  which,
  range: rangeChoice,
  toPrivate: fc.boolean(),
  odd: fc.nat(31),
  errorOffset: mostly([0n], [1n, PAGE, U64], 16),
});

function convertCall(on: Fd, name: string, values: object, ioctl: StructIoctl): Call {
  const shown = Object.entries(values).map(([field, value]) => `${field} ${showValue(value)}`);
  return {
    text: `${name}(${on.name}, ${shown.join(', ')})`,
    run: (side) => convertOn(side, side.fd(on), ioctl, values),
  };
}

const showValue = (value: unknown): string =>
  Array.isArray(value) ? `[${value.map(hex).join(', ')}]` : hex(value as bigint);

/** The requests on a guest_memfd: each is also made where the kernel has never heard of it. */
const isOn = (facts: Facts, dialect: Facts['dialect']): boolean => facts.dialect === dialect;

const gmemRange = (on: Fd, choice: RangeChoice): ByteRange =>
  range(choice, on.of.kind === 'gmem' ? Math.max(on.of.pages, 1) : 4);

const rfcConvert = command({
  name: 'gmem-convert',
  weight: 6,
  choices,
  expects: (facts) => (isOn(facts, 'rfc-convert') ? ['ok', 'EINVAL', ...(facts.pins ? ['EAGAIN'] : [])] : []),
  prepare(world, { which: nth, range: choice, toPrivate, odd, errorOffset }) {
    const usual = isOn(world.facts, 'rfc-convert');
    if (!usual && odd !== 31) return undefined;
    const on = odd === 30 ? world.fd(nth) : world.fd(nth, 'gmem');
    if (!on) return undefined;
    const reserved = odd === 29 ? [U64, 1n] : [0n];
    const values = { ...gmemRange(on, choice), error_offset: errorOffset, reserved };
    return toPrivate
      ? convertCall(on, 'KVM_GMEM_CONVERT_PRIVATE', values, KVM_GMEM_CONVERT_PRIVATE)
      : convertCall(on, 'KVM_GMEM_CONVERT_SHARED', values, KVM_GMEM_CONVERT_SHARED);
  },
});

const attributes2 = command({
  name: 'set-memory-attributes2',
  weight: 6,
  choices,
  expects: (facts) => (isOn(facts, 'attributes2') ? ['ok', 'EINVAL', ...(facts.pins ? ['EAGAIN'] : [])] : []),
  prepare(world, { which: nth, range: choice, toPrivate, odd, errorOffset }) {
    const usual = isOn(world.facts, 'attributes2');
    if (!usual && odd !== 31) return undefined;
    const on = odd === 30 ? world.fd(nth) : world.fd(nth, 'gmem');
    if (!on) return undefined;
    const attributes = odd === 29 ? 1n : toPrivate ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0n;
    const values = {
      ...gmemRange(on, choice),
      attributes,
      flags: odd === 28 ? 1n : 0n,
      error_offset: errorOffset,
      reserved: odd === 27 ? [0n, 1n] : [0n],
    };
    return convertCall(on, 'KVM_SET_MEMORY_ATTRIBUTES2', values, KVM_SET_MEMORY_ATTRIBUTES2);
  },
});

const vmTypesWithPrivateMemory = [1];

const vmAttributes = command({
  name: 'set-memory-attributes',
  weight: 7,
  choices: fc.record({
    which,
    slot: which,
    range: rangeChoice,
    anywhere: oneIn(4),
    attributes: mostly([KVM_MEMORY_ATTRIBUTE_PRIVATE, 0n, KVM_MEMORY_ATTRIBUTE_PRIVATE], [1n, 4n, 9n, U64], 12),
    flags: mostly([0n], [1n, U64], 24),
    anyFile: oneIn(32),
  }),
  expects: ({ dialect, vmTypes }) =>
    dialect === 'vm-attributes' && vmTypes.some((type) => vmTypesWithPrivateMemory.includes(type))
      ? ['ok', 'EINVAL']
      : [],
  prepare(world: World, { which: nth, slot, range: choice, anywhere, attributes, flags, anyFile }) {
    const on = anyFile ? world.fd(nth) : world.fd(nth, 'vm');
    if (!on) return undefined;
    const { base, pages } = anywhere || on.of.kind !== 'vm' ? WINDOW : inSlot(on.of, slot);
    const { offset, size } = range(choice, pages, base);
    if (size > MOST_PAGES * PAGE && size % PAGE === 0n && offset % PAGE === 0n) return undefined;
    const values = { address: BigInt.asUintN(64, offset), size: BigInt.asUintN(64, size), attributes, flags };
    return convertCall(on, 'KVM_SET_MEMORY_ATTRIBUTES', values, KVM_SET_MEMORY_ATTRIBUTES);
  },
});

const WINDOW = { base: GUEST_BASE, pages: GUEST_PAGES };

/** The guest-physical range of one of the VM's slots. */
export function inSlot(vm: Vm, nth: number): { base: bigint; pages: number } {
  const slots = [...vm.slots.values()];
  if (slots.length === 0) return WINDOW;
  const { gpa, pages } = pick(slots, nth);
  return { base: gpa, pages };
}

export const convertCommands = [rfcConvert, attributes2, vmAttributes];
