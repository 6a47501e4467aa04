/** Commands of TDX that KVM or the module refuses, one by one and in the order of their checks. */

import {
  type AnyCommand,
  addressWidthOf,
  CPUID_7_EBX_HLE,
  CPUID_7_EBX_RTM,
  CPUID_7_ECX_WAITPKG,
  CPUID_ADDRESS_SIZES,
  type ErrnoName,
  KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
  KVM_MAX_CPUID_ENTRIES,
  KVM_TDX_CAPABILITIES,
  KVM_TDX_FINALIZE_VM,
  KVM_TDX_GET_CPUID,
  KVM_TDX_INIT_MEM_REGION,
  KVM_TDX_INIT_VCPU,
  KVM_TDX_INIT_VM,
  KVM_TDX_MEASURE_MEMORY_REGION,
  PAGE_SIZE,
  TDX_OPERAND_INVALID,
  tdxSharedBits,
  withAddressWidth,
  withCpuidEntries,
} from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { type Arguments, type EncryptOp, type Place, UNKNOWN_COMMAND } from '../encrypt-op.ts';
import { type TdStage, type TdValues, TdWorld } from '../tdx-world.ts';

const TDX = { vmType: 'tdx' } as const;
const P = BigInt(PAGE_SIZE);
const U64 = 1n << 64n;
/** Where cpuid.nent ends, which is read by itself. */
const NENT_ENDS = KVM_TDX_CAPABILITIES.struct.size - 4;
const ENHANCED = 7;
const SHARED_BIT = tdxSharedBits[48]!;

type Values = (w: TdWorld) => Arguments['values'];

interface Refusal {
  readonly at: TdStage;
  readonly command: AnyCommand;
  readonly values?: Values;
  readonly place?: Place;
  readonly flags?: number;
  readonly hwError?: bigint;
  readonly code: ErrnoName;
  /** What the module said. */
  readonly firmware?: bigint;
  /** What is checked is the mock's module. */
  readonly mock?: true;
}

const capabilities = (others: Partial<Refusal>): Refusal => ({
  at: 'made',
  command: KVM_TDX_CAPABILITIES,
  values: () => new Uint8Array(KVM_TDX_CAPABILITIES.struct.size),
  code: 'EINVAL',
  ...others,
});
const init = (values: (w: TdWorld) => TdValues, others: Partial<Refusal> = {}): Refusal => ({
  at: 'made',
  command: KVM_TDX_INIT_VM,
  values: (w) => w.init(values(w)),
  code: 'EINVAL',
  ...others,
});
/** Entries with a change to one of them. */
const leaf = (number: number, change: Parameters<TdWorld['entries']>[1], others: Partial<Refusal> = {}): Refusal =>
  init((w) => ({ entries: w.entries(number, change) }), others);
const memory = (change: (w: TdWorld) => object, others: Partial<Refusal> = {}): Refusal => ({
  at: 'ready',
  command: KVM_TDX_INIT_MEM_REGION,
  values: (w) => ({ ...w.region(), ...change(w) }),
  code: 'EINVAL',
  ...others,
});
const vcpu = (others: Partial<Refusal>): Refusal => ({
  at: 'prepared',
  command: KVM_TDX_INIT_VCPU,
  code: 'EINVAL',
  ...others,
});
const cpuid = (others: Partial<Refusal>): Refusal => ({
  at: 'prepared',
  command: KVM_TDX_GET_CPUID,
  values: () => ({ nent: 0 }),
  code: 'E2BIG',
  ...others,
});
const unchanged = () => ({});
/** Refused before anything is written back, which would be EFAULT. */
const UNWRITTEN = { place: 'read-only' } as const;

const refusals = defineCase<Refusal>({
  name: 'launch-tdx-refuses',
  about:
    'What is wrong with a command is told by an errno, check by check (tdx_get_cmd(), tdx_get_capabilities(), ' +
    'tdx_td_init(), setup_tdparams(), tdx_vcpu_init(), tdx_vcpu_init_mem_region(), tdx_vcpu_get_cpuid()).',
  requires: ({ mock }) => ({ ...TDX, ...(mock && { mock }) }),
  variants: {
    'unknown-command': { at: 'made', command: UNKNOWN_COMMAND, code: 'EINVAL' },
    'unknown-command-of-a-vcpu': { at: 'prepared', command: { ...UNKNOWN_COMMAND, on: 'vcpu' }, code: 'EINVAL' },
    'command-with-an-error': capabilities({ hwError: 1n << 32n }),
    'command-of-a-vcpu-with-an-error': vcpu({ hwError: 1n << 32n }),
    'capabilities-flags': capabilities({ flags: 1 }),
    'capabilities-cut-off': capabilities({
      values: () => new Uint8Array(NENT_ENDS),
      place: 'cut-off',
      code: 'EFAULT',
    }),
    'capabilities-cut-off-after-nent': capabilities({ place: 'cut-off', code: 'E2BIG' }),
    'capabilities-without-room': capabilities({ code: 'E2BIG' }),
    'capabilities-cannot-be-told': capabilities({
      values: () => KVM_TDX_CAPABILITIES.struct.encode({ cpuid: { nent: KVM_MAX_CPUID_ENTRIES } }),
      place: 'read-only',
      code: 'EFAULT',
    }),
    'capabilities-cut-off-in-the-list': capabilities({
      values: () => KVM_TDX_CAPABILITIES.struct.encode({ cpuid: { nent: KVM_MAX_CPUID_ENTRIES } }),
      place: 'writable-end',
      code: 'EFAULT',
    }),
    'init-flags': init(unchanged, { flags: 1 }),
    'init-again': init(unchanged, { at: 'prepared' }),
    'init-cut-off': init(() => ({ entries: [] }), { place: 'cut-off', code: 'EFAULT' }),
    'init-cut-off-in-nent': {
      ...init(unchanged, { place: 'cut-off', code: 'EFAULT' }),
      values: (w) => w.init({ entries: [] }).subarray(0, -4),
    },
    'init-entries-cut-off': init(unchanged, { place: 'cut-off', code: 'EFAULT' }),
    'init-of-257-entries': init(() => ({ nent: KVM_MAX_CPUID_ENTRIES + 1 }), { code: 'E2BIG' }),
    'init-of-257-entries-cut-off': init(() => ({ entries: [], nent: KVM_MAX_CPUID_ENTRIES + 1 }), {
      place: 'cut-off',
      code: 'E2BIG',
    }),
    'init-of-256-entries': init((w) => ({ entries: Array(KVM_MAX_CPUID_ENTRIES).fill(w.entries()[0]) })),
    'init-reserved': init(() => ({ reserved: [...Array(11).fill(0n), 1n] })),
    'init-padding': init(() => ({ padding: 1 })),
    'init-attributes': init(({ capabilities: { attributes } }) => ({ attributes: ~attributes & (U64 - 1n) })),
    'init-xfam': init(({ capabilities: { xfam } }) => ({ xfam: xfam | (1n << 63n) })),
    'init-without-an-address-width': init((w) => ({
      entries: w.entries().filter((entry) => entry.function !== CPUID_ADDRESS_SIZES),
    })),
    'init-address-width-of-47': leaf(CPUID_ADDRESS_SIZES, { eax: withAddressWidth(0, 47) }),
    'init-an-entry-twice': init((w) => ({ entries: [...w.entries(), ...w.entries()] })),
    'init-an-index-that-is-not-offered': leaf(ENHANCED, { index: 77, flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX }),
    'init-rtm': leaf(ENHANCED, { ebx: CPUID_7_EBX_RTM }),
    'init-hle': leaf(ENHANCED, { ebx: CPUID_7_EBX_HLE }),
    'init-waitpkg': leaf(ENHANCED, { ecx: CPUID_7_ECX_WAITPKG }),
    'init-a-bit-that-cannot-be-chosen': leaf(
      CPUID_ADDRESS_SIZES,
      { eax: withAddressWidth(1 << 24, 48) },
      { firmware: TDX_OPERAND_INVALID },
    ),
    // The module's own word, for other leaves than the one that KVM looks at.
    'init-rtm-of-another-index': leaf(
      ENHANCED,
      { index: 5, ebx: CPUID_7_EBX_RTM },
      { firmware: TDX_OPERAND_INVALID, mock: true },
    ),
    'init-such-a-bit-of-another-leaf': leaf(1, { ebx: CPUID_7_EBX_RTM }, { firmware: TDX_OPERAND_INVALID, mock: true }),
    'init-vcpu-flags': vcpu({ flags: 1 }),
    'memory-before-its-vcpu': memory(unchanged, { at: 'prepared' }),
    'memory-after-finalize': memory(unchanged, { at: 'finalized' }),
    'memory-flags': memory(unchanged, { flags: KVM_TDX_MEASURE_MEMORY_REGION << 1 }),
    'memory-cut-off': memory(unchanged, { place: 'cut-off', code: 'EFAULT' }),
    'memory-misaligned-source': memory(({ source }) => ({ source_addr: source + 1n }), UNWRITTEN),
    'memory-misaligned-gpa': memory(({ s }) => ({ gpa: s.gpa(0) + 1n }), UNWRITTEN),
    'memory-of-no-pages': memory(() => ({ nr_pages: 0n }), UNWRITTEN),
    'memory-of-all-pages': memory(() => ({ nr_pages: U64 / P }), UNWRITTEN),
    'memory-that-wraps': memory(() => ({ nr_pages: U64 / P - 1n }), UNWRITTEN),
    'memory-above-the-shared-bit': memory(() => ({ gpa: SHARED_BIT }), UNWRITTEN),
    'memory-up-to-the-shared-bit': memory(() => ({ gpa: SHARED_BIT - P }), { ...UNWRITTEN, code: 'EFAULT' }),
    'memory-to-the-shared-bit': memory(() => ({ gpa: SHARED_BIT - P, nr_pages: 2n }), UNWRITTEN),
    'memory-where-no-slot-is': memory(({ s }) => ({ gpa: s.gpa(-1) })),
    'memory-from-nowhere': memory(({ ends }) => ({ source_addr: ends }), { code: 'EFAULT' }),
    'memory-cannot-be-told': memory(unchanged, { place: 'read-only', code: 'EFAULT' }),
    'cpuid-cut-off': cpuid({ place: 'cut-off', code: 'EFAULT' }),
    'cpuid-without-room': cpuid({}),
    'cpuid-cannot-be-told': cpuid({ place: 'read-only', code: 'EFAULT' }),
    'cpuid-cut-off-in-the-list': cpuid({
      values: () => ({ nent: KVM_MAX_CPUID_ENTRIES }),
      place: 'writable-end',
      code: 'EFAULT',
    }),
  },
  async run(t, { at, command, values, place, flags = 0, hwError = 0n, code, firmware = hwError }) {
    const w = await TdWorld.create(t, at);
    const on = command.on === 'vm' ? w.s.vm : w.vcpu;
    const args = { ...(values && { values: values(w) ?? {} }), ...(place && { place }), flags, hwError };
    const outcome = await w.op.tdx(on, command, args);
    t.fails(outcome, code, command.name);
    t.equal(outcome.out.hw_error & ~0xffff_ffffn, firmware, 'the class of what the module says');
  },
});

const index = defineCase({
  name: 'launch-tdx-cpuid-index',
  about:
    'An entry’s index counts only where its flag says so: without, any index is taken for the one that is offered ' +
    '(kvm_find_cpuid_entry2()).',
  requires: TDX,
  async run(t) {
    const w = await TdWorld.create(t, 'made');
    const entries = w.entries(CPUID_ADDRESS_SIZES, { eax: withAddressWidth(0, 48), index: 5 });
    t.succeeds(await w.op.tdx(w.s.vm, KVM_TDX_INIT_VM, { values: w.init({ entries }) }), 'init');
  },
});

const found = defineCase({
  name: 'launch-tdx-lists',
  about:
    'Lists of CPUID entries need room for just as many as there are, and one less is E2BIG, with the number of them where ' +
    'it is not known before (tdx_get_capabilities(), tdx_vcpu_get_cpuid()).',
  requires: TDX,
  async run(t) {
    const w = await TdWorld.create(t, 'prepared');
    const offered = w.capabilities.cpuid.length;
    const ask = async (nent: number) => {
      const values = withCpuidEntries(KVM_TDX_CAPABILITIES.struct, { cpuid: { nent } }, [], nent);
      return await w.op.tdx(w.s.vm, KVM_TDX_CAPABILITIES, { values, place: 'writable-end' });
    };
    t.equal(t.succeeds(await ask(offered), 'capabilities with just enough room').ret, 0, 'what that returns');
    t.fails(await ask(offered - 1), 'E2BIG', 'capabilities with room for one less');
    const entries = await w.tdx.cpuid(w.vcpu);
    const sizes = entries.find((entry) => entry.function === CPUID_ADDRESS_SIZES);
    t.equal(sizes && addressWidthOf(sizes.eax), 48, 'the address width');
    const list = (nent: number) => w.op.tdx(w.vcpu, KVM_TDX_GET_CPUID, { values: { nent } });
    t.fails(await list(entries.length - 1), 'E2BIG', 'CPUID with room for one less');
    t.equal((await w.op.left(KVM_TDX_GET_CPUID)).nent, entries.length, 'how many there are');
    t.equal(t.succeeds(await list(entries.length), 'CPUID with just enough room').ret, 0, 'what that returns');
  },
});

const returns = defineCase({
  name: 'launch-tdx-returns-zero',
  about: 'Each command of a launch returns 0 (tdx_vm_ioctl(), tdx_vcpu_unlocked_ioctl()).',
  requires: TDX,
  async run(t) {
    const w = await TdWorld.create(t, 'made');
    const done = async (on: 'vm' | 'vcpu', command: AnyCommand, args: Parameters<EncryptOp['tdx']>[2] = {}) => {
      const { ret } = t.succeeds(await w.op.tdx(on === 'vm' ? w.s.vm : w.vcpu, command, args), command.name);
      t.equal(ret, 0, 'what it returns');
    };
    await done('vm', KVM_TDX_INIT_VM, { values: w.init() });
    await w.makeVcpu();
    await done('vcpu', KVM_TDX_INIT_VCPU);
    await done('vcpu', KVM_TDX_INIT_MEM_REGION, { values: w.region() });
    await done('vm', KVM_TDX_FINALIZE_VM);
  },
});

const partly = defineCase<{ readonly pages: bigint; readonly from?: (w: TdWorld) => bigint; readonly code: ErrnoName }>(
  {
    name: 'launch-tdx-memory-stops',
    about:
      'Memory is added page by page; where one is refused the struct tells what is left (tdx_vcpu_init_mem_region(), ' +
      'kvm_gmem_populate()).',
    requires: TDX,
    variants: {
      'at-the-end-of-the-slot': { pages: 2n, code: 'EINVAL' },
      'where-the-source-ends': { pages: 2n, from: ({ ends }) => ends - P, code: 'EFAULT' },
      // In 64 bits that is one page.
      'after-more-pages-than-there-are': { pages: U64 / P + 1n, code: 'EINVAL' },
    },
    async run(t, { pages, from, code }) {
      const w = await TdWorld.create(t, 'ready');
      const source_addr = from?.(w) ?? w.source;
      const gpa = w.s.gpa(from ? 0 : 3);
      const values = { source_addr, gpa, nr_pages: pages };
      const flags = KVM_TDX_MEASURE_MEMORY_REGION;
      t.fails(await w.op.tdx(w.vcpu, KVM_TDX_INIT_MEM_REGION, { values, flags }), code, 'adding more than there is');
      const left = await w.op.left(KVM_TDX_INIT_MEM_REGION);
      t.equal(left, { source_addr: source_addr + P, gpa: gpa + P, nr_pages: pages - 1n }, 'what is left of it');
    },
  },
);

export const cases: readonly AnyCase[] = [refusals, index, found, returns, partly];
