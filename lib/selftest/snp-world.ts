/** The fixture of cases about single commands of SEV-SNP: a VM at some point of its launch, and what commands point to. */

import {
  type AnyCommand,
  KVM_SEV_INIT2,
  KVM_SEV_SNP_LAUNCH_FINISH,
  KVM_SEV_SNP_LAUNCH_START,
  PAGE_SIZE,
  SNP_POLICY_RSVD_MBO,
  SNP_POLICY_SMT,
  snpPageTypes,
} from '../abi/index.ts';
import { anonymous, endOfMemory } from './bare.ts';
import type { T } from './context.ts';
import { EncryptOp, type SevArguments } from './encrypt-op.ts';
import { LaunchScenario } from './launch-scenario.ts';

export type SnpStage = 'made' | 'initialized' | 'started' | 'finished';

const P = BigInt(PAGE_SIZE);
const PLAIN = 0x2_0000_0000n;
const POLICY = SNP_POLICY_RSVD_MBO | SNP_POLICY_SMT;

/** The commands that lead from one stage to the next. */
const WAY = [
  ['initialized', KVM_SEV_INIT2, {}],
  ['started', KVM_SEV_SNP_LAUNCH_START, { policy: POLICY }],
  ['finished', KVM_SEV_SNP_LAUNCH_FINISH, {}],
] as const;

export class SnpWorld {
  readonly s: LaunchScenario;
  readonly op: EncryptOp;
  /** Two pages of the process. */
  readonly source: bigint;
  /** Where a readable page of the process ends, with nothing behind it. */
  readonly ends: bigint;
  /** A guest address that has a slot without a guest_memfd. */
  readonly plain = PLAIN;
  readonly #t: T;

  private constructor(t: T, s: LaunchScenario, op: EncryptOp, source: bigint, ends: bigint) {
    this.#t = t;
    this.s = s;
    this.op = op;
    this.source = source;
    this.ends = ends;
  }

  static async create(t: T, stage: SnpStage): Promise<SnpWorld> {
    const s = await LaunchScenario.create(t, 'snp');
    await s.becomesPrivate();
    const source = await anonymous(t, 2 * PAGE_SIZE);
    await s.vm.setMemoryRegion({ slot: 1, guestPhysAddr: PLAIN, size: PAGE_SIZE, userspaceAddr: source });
    const ends = (await endOfMemory(t, new Uint8Array(PAGE_SIZE))) + P;
    const world = new SnpWorld(t, s, await EncryptOp.create(t), source, ends);
    if (stage !== 'made') await world.#goTo(stage);
    return world;
  }

  async #goTo(stage: SnpStage): Promise<void> {
    for (const [reached, command, values] of WAY) {
      this.#t.succeeds(await this.issue(command, { values }), command.name);
      if (reached === stage) return;
    }
  }

  /** Of one page, the first. */
  update() {
    return { gfn_start: this.s.gpa(0) / P, uaddr: this.source, len: P, type: snpPageTypes.normal };
  }

  async issue(command: AnyCommand, args: SevArguments = {}): ReturnType<EncryptOp['sev']> {
    return await this.op.sev(this.s.vm, command, args);
  }

  async vcpu(): Promise<void> {
    const vcpu = await this.s.vm.createVcpu();
    this.#t.defer(() => vcpu.close());
  }
}
