/** The fixture of cases about single commands of TDX: a TD at some point of its launch, and what commands point to. */

import {
  CPUID_ADDRESS_SIZES,
  type CpuidEntry,
  KVM_IOAPIC_NUM_PINS,
  KVM_TDX_INIT_VM,
  PAGE_SIZE,
  withAddressWidth,
  withCpuidEntries,
} from '../abi/index.ts';
import { type TdxCapabilities, type TdxGuest, tdxGuest, type Vcpu } from '../kvm/index.ts';
import { anonymous, endOfMemory } from './bare.ts';
import type { T } from './context.ts';
import { EncryptOp } from './encrypt-op.ts';
import { LaunchScenario } from './launch-scenario.ts';

/** `prepared`: a vCPU is there; `ready`: it is the TD's. */
export type TdStage = 'made' | 'prepared' | 'ready' | 'finalized';

const P = BigInt(PAGE_SIZE);
const SIZES = { eax: withAddressWidth(0, 48) };
const EMPTY = { eax: 0, ebx: 0, ecx: 0, edx: 0 };

export interface TdValues {
  readonly attributes?: bigint;
  readonly xfam?: bigint;
  readonly reserved?: readonly bigint[];
  readonly padding?: number;
  readonly entries?: readonly Partial<CpuidEntry>[];
  /** Instead of how many entries there are. */
  readonly nent?: number;
}

export class TdWorld {
  readonly s: LaunchScenario;
  readonly op: EncryptOp;
  readonly capabilities: TdxCapabilities;
  readonly tdx: TdxGuest;
  /** Two pages of the process. */
  readonly source: bigint;
  /** Where a readable page of the process ends, with nothing behind it. */
  readonly ends: bigint;
  #vcpu: Vcpu | undefined;
  readonly #t: T;

  private constructor(
    t: T,
    s: LaunchScenario,
    op: EncryptOp,
    capabilities: TdxCapabilities,
    memory: { readonly source: bigint; readonly ends: bigint },
  ) {
    this.#t = t;
    this.s = s;
    this.op = op;
    this.tdx = tdxGuest(s.vm);
    this.capabilities = capabilities;
    this.source = memory.source;
    this.ends = memory.ends;
  }

  static async create(t: T, stage: TdStage): Promise<TdWorld> {
    const s = await LaunchScenario.create(t, 'tdx');
    await s.becomesPrivate();
    const source = await anonymous(t, 2 * PAGE_SIZE);
    const ends = (await endOfMemory(t, new Uint8Array(PAGE_SIZE))) + P;
    const capabilities = await tdxGuest(s.vm).capabilities();
    const world = new TdWorld(t, s, await EncryptOp.create(t), capabilities, { source, ends });
    await world.#goTo(stage);
    return world;
  }

  async #goTo(stage: TdStage): Promise<void> {
    if (stage === 'made') return;
    await this.tdx.init();
    await this.makeVcpu();
    if (stage === 'prepared') return;
    await this.tdx.initVcpu(this.vcpu);
    if (stage === 'finalized') await this.tdx.finalize();
  }

  async makeVcpu(): Promise<void> {
    await this.s.vm.enableCap('KVM_CAP_SPLIT_IRQCHIP', [KVM_IOAPIC_NUM_PINS]);
    const vcpu = await this.s.vm.createVcpu();
    this.#t.defer(() => vcpu.close());
    this.#vcpu = vcpu;
  }

  get vcpu(): Vcpu {
    if (!this.#vcpu) throw new Error('the TD has no vCPU at this stage');
    return this.#vcpu;
  }

  /** What KVM_TDX_INIT_VM is given: by default what is offered, with no bit of CPUID but the address width. */
  init({ entries = this.entries(), reserved = [], padding = 0, nent, ...values }: TdValues = {}): Uint8Array {
    const { attributes, xfam } = this.capabilities;
    const cpuid = { nent: nent ?? entries.length, padding };
    return withCpuidEntries(KVM_TDX_INIT_VM.struct, { attributes, xfam, ...values, reserved, cpuid }, entries);
  }

  /** Every entry that can be chosen; `change` of one leaf. */
  entries(leaf = CPUID_ADDRESS_SIZES, change: Partial<CpuidEntry> = SIZES): Partial<CpuidEntry>[] {
    return this.capabilities.cpuid.map((entry) => {
      const sizes = entry.function === CPUID_ADDRESS_SIZES ? SIZES : {};
      return { ...entry, ...EMPTY, ...sizes, ...(entry.function === leaf && change) };
    });
  }

  /** What KVM_TDX_INIT_MEM_REGION is given: one page, the first. */
  region() {
    return { source_addr: this.source, gpa: this.s.gpa(0), nr_pages: 1n };
  }
}
