/** The fixture of cases about guests of SEV and SEV-ES: a VM, memory of the process for it, and single commands. */

import {
  type AnyCommand,
  KVM_SEV_GUEST_STATUS,
  KVM_SEV_INIT2,
  KVM_SEV_LAUNCH_MEASURE,
  KVM_SEV_LAUNCH_START,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
  SEV_MEASUREMENT_SIZE,
  SEV_POLICY_ES,
  SEV_POLICY_NODBG,
  sevGuestStates,
} from '../abi/index.ts';
import type { Vm, VmType } from '../kvm/index.ts';
import { anonymous, endOfMemory } from './bare.ts';
import type { T } from './context.ts';
import { EncryptOp, type SevArguments } from './encrypt-op.ts';

export type Sev = Extract<VmType, 'sev' | 'sev-es'>;
export const SEV_TYPES: Readonly<Record<Sev, Sev>> = { sev: 'sev', 'sev-es': 'sev-es' };

export const policyOf = (type: Sev): number => (type === 'sev' ? SEV_POLICY_NODBG : SEV_POLICY_NODBG | SEV_POLICY_ES);

export class SevWorld {
  readonly vm: Vm;
  /** Four pages of the process. */
  readonly memory: bigint;
  /** Where a writable page of the process ends, with nothing behind it. */
  readonly ends: bigint;
  readonly op: EncryptOp;
  readonly #type: Sev;
  readonly #t: T;

  private constructor(
    t: T,
    type: Sev,
    vm: Vm,
    memory: { readonly memory: bigint; readonly ends: bigint },
    op: EncryptOp,
  ) {
    this.#t = t;
    this.#type = type;
    this.vm = vm;
    this.memory = memory.memory;
    this.ends = memory.ends;
    this.op = op;
  }

  static async create(t: T, type: Sev): Promise<SevWorld> {
    const memory = await anonymous(t, 4 * PAGE_SIZE);
    const end = await endOfMemory(t, new Uint8Array(PAGE_SIZE), PROT_READ | PROT_WRITE);
    const ends = end + BigInt(PAGE_SIZE);
    return new SevWorld(t, type, await t.unlaunchedVm(type), { memory, ends }, await EncryptOp.create(t));
  }

  issue(command: AnyCommand, args: SevArguments = {}): ReturnType<EncryptOp['sev']> {
    return this.op.sev(this.vm, command, args);
  }

  async done(command: AnyCommand, values: Readonly<Record<string, unknown>> = {}): Promise<void> {
    this.#t.equal(this.#t.succeeds(await this.issue(command, { values }), command.name).ret, 0, 'what it returns');
  }

  async starts(): Promise<void> {
    await this.done(KVM_SEV_INIT2);
    await this.done(KVM_SEV_LAUNCH_START, { policy: policyOf(this.#type) });
  }

  async isAt(state: keyof typeof sevGuestStates, what: string): Promise<void> {
    await this.done(KVM_SEV_GUEST_STATUS);
    const status = await this.op.left(KVM_SEV_GUEST_STATUS);
    this.#t.equal(
      [status.policy, status.state],
      [policyOf(this.#type), sevGuestStates[state]],
      `policy and state ${what}`,
    );
    this.#t.ok(status.handle !== 0, 'the firmware has a number for the guest');
  }

  async measured(): Promise<number> {
    return (await this.op.left(KVM_SEV_LAUNCH_MEASURE)).len;
  }

  async handle(): Promise<number> {
    return (await this.op.left(KVM_SEV_LAUNCH_START)).handle;
  }

  /** What must come before finish. */
  async measures(): Promise<void> {
    await this.done(KVM_SEV_LAUNCH_MEASURE, { uaddr: this.memory, len: SEV_MEASUREMENT_SIZE });
  }

  async vcpu(): Promise<void> {
    const vcpu = await this.vm.createVcpu();
    this.#t.defer(() => vcpu.close());
  }
}
