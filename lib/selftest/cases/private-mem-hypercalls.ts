/**
 * The kernel's private_mem_conversions_test as a guest drives it: each vCPU has a part of the memory and asks for its
 * conversions by KVM_HC_MAP_GPA_RANGE, all of them at once; the host does what it is asked for.
 */

import { PAGE_SIZE } from '../../abi/index.ts';
import type { Guest, GuestWrite, HypercallExit } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { DATA_SIZE, GuestMemory } from '../guest-memory.ts';
import type { Requires } from '../requires.ts';
import { GUEST_START, type State } from '../scenario.ts';

const REQUIRES: Requires = {
  dialect: ['rfc-convert', 'attributes2', 'vm-attributes'],
  vmType: 'sw-protected',
  guest: true,
};

const HUGE = 0x20_0000;
/** From one vCPU's part to the next: its data, rounded up to a huge page. */
const STRIDE = 2 * HUGE;
const RANGES = [
  { offset: 0, size: PAGE_SIZE },
  { offset: 0, size: HUGE },
  { offset: PAGE_SIZE, size: PAGE_SIZE },
  { offset: PAGE_SIZE, size: HUGE },
  { offset: HUGE, size: PAGE_SIZE },
] as const;

const DATA = { offset: 0, size: DATA_SIZE } as const;

const MAP_GPA_RANGE = 1 << 12;

interface Setting {
  readonly vcpus: number;
  readonly slots: number;
  /** Whether the host allocates what becomes private, and with a second backing frees what becomes shared. */
  readonly allocates?: boolean;
}

const SETTINGS: Readonly<Record<string, Setting>> = {
  '1-vcpu-1-slot': { vcpus: 1, slots: 1 },
  '1-vcpu-4-slots': { vcpus: 1, slots: 4 },
  '4-vcpus-1-slot': { vcpus: 4, slots: 1 },
  '4-vcpus-4-slots': { vcpus: 4, slots: 4 },
  '1-vcpu-1-slot-allocated': { vcpus: 1, slots: 1, allocates: true },
  '4-vcpus-4-slots-allocated': { vcpus: 4, slots: 4, allocates: true },
};

/** The host's side: memory in slots, and what becomes of a request. */
class Hypervisor {
  readonly memory: GuestMemory;
  readonly guest: Guest;

  private constructor(memory: GuestMemory, guest: Guest) {
    this.memory = memory;
    this.guest = guest;
  }

  static async create(t: T, { vcpus, slots, allocates = false }: Setting): Promise<Hypervisor> {
    const memory = await GuestMemory.create(t, slots, { size: vcpus * STRIDE });
    const { vm } = memory;
    await vm.enableCap('KVM_CAP_EXIT_HYPERCALL', [MAP_GPA_RANGE]);
    const onHypercall = ({ mapGpaRange }: HypercallExit) => serve(t, memory, mapGpaRange, allocates);
    const guest = await vm.createGuest({ vcpus, onHypercall });
    t.defer(() => guest.close());
    return new Hypervisor(memory, guest);
  }

  /** What each vCPU does with its part, all at once. */
  async everyVcpu(t: T, work: (part: Part) => Promise<void>): Promise<void> {
    const parts = Array.from({ length: this.guest.vcpus }, (_, vcpu) => new Part(t, this, vcpu));
    await Promise.all(parts.map(work));
  }
}

async function serve(
  t: T,
  memory: GuestMemory,
  asked: HypercallExit['mapGpaRange'],
  allocates: boolean,
): Promise<bigint | undefined> {
  if (!asked) return undefined;
  const { vm, gmem } = memory;
  const { size, to } = asked;
  const range = { offset: Number(asked.gpa - GUEST_START), size: Number(size) };
  const twoBackings = t.features.dialect === 'vm-attributes';
  if (allocates && to === 'private') t.succeeds(await gmem.tryAllocate(range), 'allocating what becomes private');
  if (allocates && to === 'shared' && twoBackings) await memory.punch(range.offset, range.size);
  if (twoBackings) await vm.setMemoryAttributes({ address: asked.gpa, size, to });
  else await memory.convert(range.offset, range.size, to);
  return 0n;
}

interface Range {
  readonly offset: number;
  readonly size: number;
}

/** A large range is looked at through its first and last page: guests that are emulated take long over the rest. */
function edges({ offset, size }: Range): Range[] {
  if (size <= 2 * PAGE_SIZE) return size === 0 ? [] : [{ offset, size }];
  return [
    { offset, size: PAGE_SIZE },
    { offset: offset + size - PAGE_SIZE, size: PAGE_SIZE },
  ];
}

/** One vCPU's part of the memory. */
class Part {
  readonly #t: T;
  readonly #host: Hypervisor;
  readonly #vcpu: number;

  constructor(t: T, host: Hypervisor, vcpu: number) {
    this.#t = t;
    this.#host = host;
    this.#vcpu = vcpu;
  }

  get #start(): number {
    return this.#vcpu * STRIDE;
  }

  #gpa(offset: number): bigint {
    return GUEST_START + BigInt(this.#start + offset);
  }

  async fillsAllOf({ offset, size }: Range, byte: number): Promise<void> {
    const filled = await this.#host.guest.fill(this.#gpa(offset), size, byte, { vcpu: this.#vcpu });
    this.#t.equal<GuestWrite>(filled, { ok: true }, this.#says('fills', { offset, size }));
  }

  async fills(range: Range, byte: number): Promise<void> {
    for (const edge of edges(range)) await this.fillsAllOf(edge, byte);
  }

  async finds(range: Range, byte: number): Promise<void> {
    for (const { offset, size } of edges(range)) {
      const read = await this.#host.guest.read(this.#gpa(offset), size, { vcpu: this.#vcpu });
      const what = this.#says('reads', { offset, size });
      if (!read.ok) this.#t.fail(what, [`stopped by ${read.exit.reason} after ${read.completed} bytes`]);
      else this.#t.equal(read.bytes, new Uint8Array(size).fill(byte), what);
    }
  }

  /** The guest asks the host for a conversion. */
  async asks({ offset, size }: Range, to: State): Promise<void> {
    const asked = await this.#host.guest.mapGpaRange(this.#gpa(offset), size, to, { vcpu: this.#vcpu });
    this.#t.equal<unknown>(asked, { ok: true, answer: 0n }, this.#says(`asks for ${to} memory`, { offset, size }));
  }

  async hostExchanges(range: Range, finds: number, writes: number): Promise<void> {
    for (const { offset, size } of edges(range)) {
      await this.#host.memory.hostFinds(this.#start + offset, size, finds);
      await this.#host.memory.hostWrites(this.#start + offset, size, writes);
    }
  }

  async hostFindsPrivate(range: Range, before: number): Promise<void> {
    for (const { offset, size } of edges(range)) {
      await this.#host.memory.hostFindsPrivate(this.#start + offset, size, before);
    }
  }

  hostFillsAllOf({ offset, size }: Range, byte: number): Promise<void> {
    return this.#host.memory.hostWrites(this.#start + offset, size, byte);
  }

  punches({ offset, size }: Range): Promise<void> {
    return this.#host.memory.punch(this.#start + offset, size);
  }

  #says(what: string, { offset, size }: Range): string {
    return `vCPU ${this.#vcpu} ${what}, 0x${offset.toString(16)}+0x${size.toString(16)}`;
  }
}

/** What is before and behind a range in another. */
function around(outer: Range, { offset, size }: Range): Range[] {
  const end = offset + size;
  return [
    { offset: outer.offset, size: offset - outer.offset },
    { offset: end, size: outer.offset + outer.size - end },
  ];
}

const explicitConversion = defineCase<Setting>({
  name: 'private_mem_conversion_by_hypercall',
  about:
    'Several vCPUs at once ask for conversions of their own memory and find what belongs there, whatever slots it is ' +
    'in; so does the host (private_mem_conversions_test, guest_test_explicit_conversion with -n and -m).',
  requires: REQUIRES,
  variants: SETTINGS,
  async run(t, setting) {
    const host = await Hypervisor.create(t, setting);
    await host.everyVcpu(t, async (part) => {
      await part.fillsAllOf(DATA, 0xaa);
      await part.finds(DATA, 0xaa);
      await part.hostExchanges(DATA, 0xaa, 0xcc);
      await part.finds(DATA, 0xcc);
      for (const range of RANGES) await convertThereAndBack(part, range);
    });
  },
});

async function convertThereAndBack(part: Part, range: Range): Promise<void> {
  await part.hostFillsAllOf(DATA, 0xcc);
  await part.fills(range, 0x11);
  await part.asks(range, 'private');
  await part.fills(range, 0x22);
  await part.hostFindsPrivate(range, 0x11);
  await part.finds(range, 0x22);
  for (const other of around(DATA, range)) await part.finds(other, 0xcc);
  if (range.size > PAGE_SIZE) await convertAPage(part, range.offset + range.size - PAGE_SIZE);
  await part.asks(range, 'shared');
  await part.fills(range, 0x33);
  await part.hostExchanges(range, 0x33, 0x44);
  await part.finds(range, 0x44);
  // In place the hole is in shared memory too.
  await part.asks(DATA, 'shared');
  await part.punches(DATA);
}

/** One page of a private range is shared; the one before it is not. */
async function convertAPage(part: Part, offset: number): Promise<void> {
  const page = { offset, size: PAGE_SIZE };
  const before = { offset: offset - PAGE_SIZE, size: PAGE_SIZE };
  await part.fills(before, 0x22);
  await part.asks(page, 'shared');
  await part.fills(page, 0x55);
  await part.hostExchanges(page, 0x55, 0x33);
  await part.finds(page, 0x33);
  await part.finds(before, 0x22);
}

const punchHole = defineCase<Setting & { readonly precise: boolean }>({
  name: 'private_mem_punch_hole_by_several_vcpus',
  about:
    'Private memory in which the host punches holes reads 0 there, for several vCPUs at once, whether all of it was in ' +
    'use or the range alone (private_mem_conversions_test, guest_test_punch_hole with -n and -m).',
  requires: REQUIRES,
  variants: {
    '1-vcpu-1-slot': { vcpus: 1, slots: 1, precise: false },
    '4-vcpus-1-slot-precise': { vcpus: 4, slots: 1, precise: true },
    '4-vcpus-4-slots': { vcpus: 4, slots: 4, precise: false },
  },
  async run(t, { precise, ...setting }) {
    const host = await Hypervisor.create(t, setting);
    await host.everyVcpu(t, async (part) => {
      await part.asks(DATA, 'private');
      for (const range of RANGES) {
        const used = precise ? range : DATA;
        await part.punches(DATA);
        await part.fillsAllOf(used, 0xcc);
        await part.finds(used, 0xcc);
        await part.punches(range);
        await part.finds(range, 0);
        for (const other of around(used, range)) await part.finds(other, 0xcc);
      }
    });
  },
});

const unserved = defineCase({
  name: 'private_mem_hypercall_refused',
  about:
    'What the host answers to KVM_HC_MAP_GPA_RANGE reaches the guest as it is; without KVM_CAP_EXIT_HYPERCALL KVM itself ' +
    'answers -KVM_ENOSYS and the host is not asked (kvm_emulate_hypercall(), KVM_CAP_EXIT_HYPERCALL).',
  requires: { guest: true },
  async run(t) {
    const asked: unknown[] = [];
    const vm = await t.vm();
    const onHypercall = async ({ mapGpaRange }: HypercallExit) => {
      asked.push(mapGpaRange);
      return -22n;
    };
    const guest = await vm.createGuest({ onHypercall });
    t.defer(() => guest.close());
    const range = [GUEST_START, 2 * PAGE_SIZE, 'private'] as const;
    t.equal<unknown>(
      await guest.mapGpaRange(...range),
      { ok: true, answer: -1000n },
      'before the capability is enabled',
    );
    t.equal(asked, [], 'what the host was asked by then');
    await vm.enableCap('KVM_CAP_EXIT_HYPERCALL', [MAP_GPA_RANGE]);
    t.equal<unknown>(await guest.mapGpaRange(...range), { ok: true, answer: -22n }, 'a request that the host refuses');
    const wanted = { gpa: GUEST_START, size: BigInt(2 * PAGE_SIZE), to: 'private' };
    t.equal<unknown>(asked, [wanted], 'what the host was asked');
  },
});

export const cases: readonly AnyCase[] = [explicitConversion, punchHole, unserved];
