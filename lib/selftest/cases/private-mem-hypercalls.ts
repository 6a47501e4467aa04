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

  async fills(offset: number, size: number, byte: number): Promise<void> {
    const gpa = GUEST_START + BigInt(this.#start + offset);
    const filled = await this.#host.guest.fill(gpa, size, byte, { vcpu: this.#vcpu });
    this.#t.equal<GuestWrite>(filled, { ok: true }, this.#says(`fills 0x${offset.toString(16)}`));
  }

  /** An empty range holds anything. */
  async finds(offset: number, size: number, byte: number): Promise<void> {
    if (size === 0) return;
    const gpa = GUEST_START + BigInt(this.#start + offset);
    const read = await this.#host.guest.read(gpa, size, { vcpu: this.#vcpu });
    const what = this.#says(`reads 0x${offset.toString(16)}+0x${size.toString(16)}`);
    if (!read.ok) this.#t.fail(what, [`stopped by ${read.exit.reason} after ${read.completed} bytes`]);
    else this.#t.equal(read.bytes, new Uint8Array(size).fill(byte), what);
  }

  /** The guest asks the host for a conversion. */
  async asks(offset: number, size: number, to: State): Promise<void> {
    const gpa = GUEST_START + BigInt(this.#start + offset);
    const asked = await this.#host.guest.mapGpaRange(gpa, size, to, { vcpu: this.#vcpu });
    this.#t.equal<unknown>(asked, { ok: true, answer: 0n }, this.#says(`asks for ${to} memory`));
  }

  async hostExchanges(offset: number, size: number, finds: number, writes: number): Promise<void> {
    await this.#host.memory.hostFinds(this.#start + offset, size, finds);
    await this.#host.memory.hostWrites(this.#start + offset, size, writes);
  }

  hostFindsPrivate(offset: number, size: number, before: number): Promise<void> {
    return this.#host.memory.hostFindsPrivate(this.#start + offset, size, before);
  }

  punches(offset: number, size: number): Promise<void> {
    return this.#host.memory.punch(this.#start + offset, size);
  }

  #says(what: string): string {
    return `vCPU ${this.#vcpu} ${what}`;
  }
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
      await part.fills(0, DATA_SIZE, 0xaa);
      await part.finds(0, DATA_SIZE, 0xaa);
      await part.hostExchanges(0, DATA_SIZE, 0xaa, 0xcc);
      await part.finds(0, DATA_SIZE, 0xcc);
      for (const range of RANGES) await convertThereAndBack(part, range);
    });
  },
});

async function convertThereAndBack(part: Part, { offset, size }: (typeof RANGES)[number]): Promise<void> {
  const huge = size > PAGE_SIZE;
  await part.fills(offset, size, 0x11);
  await part.asks(offset, size, 'private');
  await part.fills(offset, PAGE_SIZE, 0x22);
  await part.hostFindsPrivate(offset, PAGE_SIZE, 0x11);
  await part.finds(offset, PAGE_SIZE, 0x22);
  await part.finds(0, offset, 0xcc);
  if (huge) await convertAPageOf(part, offset + size - PAGE_SIZE);
  else await part.finds(offset + size, DATA_SIZE - offset - size, 0xcc);
  await part.asks(offset, size, 'shared');
  await part.fills(offset, size, 0x33);
  await part.hostExchanges(offset, size, 0x33, 0x44);
  await part.finds(offset, size, 0x44);
  // In place the hole is in shared memory too, so the pattern comes after it.
  await part.asks(0, DATA_SIZE, 'shared');
  await part.punches(0, DATA_SIZE);
  await part.fills(0, DATA_SIZE, 0xcc);
}

/** One page of a private range is shared; the one before it is not. */
async function convertAPageOf(part: Part, at: number): Promise<void> {
  await part.fills(at - PAGE_SIZE, 2 * PAGE_SIZE, 0x22);
  await part.asks(at, PAGE_SIZE, 'shared');
  await part.fills(at, PAGE_SIZE, 0x55);
  await part.hostExchanges(at, PAGE_SIZE, 0x55, 0x33);
  await part.finds(at, PAGE_SIZE, 0x33);
  await part.finds(at - PAGE_SIZE, PAGE_SIZE, 0x22);
}

const punchHole = defineCase<Setting & { readonly precise: boolean }>({
  name: 'private_mem_punch_hole_by_several_vcpus',
  about:
    'Private memory in which the host punches holes reads 0 there, for several vCPUs at once, whether all of it was in ' +
    'use or the range alone (private_mem_conversions_test, guest_test_punch_hole with -n and -m).',
  requires: REQUIRES,
  variants: {
    '1-vcpu-4-slots': { vcpus: 1, slots: 4, precise: false },
    '4-vcpus-1-slot-precise': { vcpus: 4, slots: 1, precise: true },
    '4-vcpus-4-slots': { vcpus: 4, slots: 4, precise: false },
  },
  async run(t, { precise, ...setting }) {
    const host = await Hypervisor.create(t, setting);
    await host.everyVcpu(t, async (part) => {
      await part.asks(0, DATA_SIZE, 'private');
      for (const { offset, size } of RANGES) {
        const [at, length] = precise ? [offset, size] : [0, DATA_SIZE];
        await part.punches(0, DATA_SIZE);
        await part.fills(at, length, 0xcc);
        await part.finds(at, length, 0xcc);
        await part.punches(offset, size);
        await part.finds(offset, size, 0);
        await part.finds(at, offset - at, 0xcc);
        await part.finds(offset + size, at + length - offset - size, 0xcc);
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
