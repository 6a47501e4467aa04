/** From an empty confidential VM to one that runs: the commands of its type in their order. */

import { withCpuidEntries } from '../../abi/cpuid-list.ts';
import { checkInteger, checkOptions, wrongType } from '../../abi/invalid.ts';
import { KVM_IOAPIC_NUM_PINS } from '../../abi/kvm.ts';
import { KVM_SET_CPUID2, kvm_cpuid2 } from '../../abi/vcpu.ts';
import {
  type Context,
  failed,
  isKernelError,
  issue,
  prepareIoctl,
  type Result,
  success,
  UnsupportedError,
  unwrap,
  type VmType,
} from '../../host/index.ts';
import { Vcpu } from '../vcpu.ts';
import { Vm } from '../vm.ts';
import { checkVm } from './check-vm.ts';
import { checkLaunchRegion, type LaunchRegion } from './region.ts';
import { type SevInitOptions, type SnpFinishOptions, type SnpStartOptions, sevGuest } from './sev.ts';
import { type TdInitOptions, type TdxGuest, tdxGuest } from './tdx.ts';

export interface LaunchOptions {
  /** What the guest finds in its memory. Set the memory regions first, and make the pages private. */
  readonly memory?: readonly LaunchRegion[];
  /** How many vCPUs to make, with ids from 0 on; none by default. A launched TD takes no more, and no SNP guest should. */
  readonly vcpus?: number;
  /** SNP: sets the registers the vCPU begins with; the launch seals them. A TD's vCPUs begin at 0xfffffff0. */
  readonly setUp?: (vcpu: Vcpu, index: number) => Promise<void>;
  readonly snp?: SevInitOptions & SnpStartOptions & SnpFinishOptions;
  readonly tdx?: TdInitOptions;
}

export interface Launched {
  readonly vcpus: readonly Vcpu[];
}

export const LAUNCHABLE: readonly VmType[] = ['snp', 'tdx'];

const MAX_VCPUS = 4096;

/**
 * Brings a confidential VM up, from its key to its sealed measurement, so that its vCPUs can run: all steps of
 * `sevGuest(vm)` or `tdxGuest(vm)` in their order.
 *
 * ```ts
 * const { vcpus } = await launch(vm, { vcpus: 1, memory: [{ gpa: 0xffff_f000n, contents: firmware }] });
 * ```
 *
 * @throws KernelError whose `command` is the step that was refused, and `firmware` what the hardware said
 * @throws UnsupportedError for VMs of types other than snp and tdx
 */
export async function launch(vm: Vm, options: LaunchOptions = {}): Promise<Launched> {
  return unwrap(await tryLaunch(vm, options));
}

/** As `launch`, with the kernel's refusal as a value. */
export async function tryLaunch(vm: Vm, options: LaunchOptions = {}): Promise<Result<Launched>> {
  checkVm(vm);
  const checked = checkLaunch(options);
  if (!LAUNCHABLE.includes(vm.type)) {
    throw new UnsupportedError(
      `a VM of type ${vm.type} has no launch; those of types ${LAUNCHABLE.join(' and ')} have`,
    );
  }
  const vcpus: Vcpu[] = [];
  try {
    const result = vm.type === 'snp' ? await launchSnp(vm, checked, vcpus) : await launchTd(vm, checked, vcpus);
    return await closingUnless(result, vcpus);
  } catch (error) {
    for (const vcpu of vcpus) await vcpu.close();
    if (isKernelError(error)) return failed(error);
    throw error;
  }
}

async function closingUnless(result: Result<void>, vcpus: readonly Vcpu[]): Promise<Result<Launched>> {
  if (result.ok) return success({ vcpus });
  for (const vcpu of vcpus) await vcpu.close();
  return result;
}

type Checked = Required<Pick<LaunchOptions, 'memory' | 'vcpus'>> & LaunchOptions;

function checkLaunch(options: LaunchOptions): Checked {
  const {
    memory = [],
    vcpus = 0,
    setUp,
  } = checkOptions<LaunchOptions>('options', options, ['memory', 'vcpus', 'setUp', 'snp', 'tdx']);
  if (!Array.isArray(memory)) throw wrongType('options.memory', 'a list of regions', memory);
  for (const [i, region] of memory.entries()) checkLaunchRegion(region, `options.memory[${i}]`);
  checkInteger('options.vcpus', vcpus, 0, MAX_VCPUS);
  if (setUp !== undefined && typeof setUp !== 'function') throw wrongType('options.setUp', 'a function', setUp);
  return { ...options, memory, vcpus };
}

/** Steps one after the other, until one is refused. */
async function inOrder(...steps: readonly (() => Promise<Result<unknown>>)[]): Promise<Result<void>> {
  for (const step of steps) {
    const result = await step();
    if (!result.ok) return result;
  }
  return success(undefined);
}

async function addVcpus(vm: Vm, { vcpus: count, setUp }: Checked, made: Vcpu[]): Promise<Result<void>> {
  for (let id = 0; id < count; id++) {
    const vcpu = await vm.tryCreateVcpu({ id });
    if (!vcpu.ok) return vcpu;
    made.push(vcpu.value);
    await setUp?.(vcpu.value, id);
  }
  return success(undefined);
}

function launchSnp(vm: Vm, checked: Checked, made: Vcpu[]): Promise<Result<void>> {
  const sev = sevGuest(vm);
  const { vmsaFeatures, ghcbVersion, policy, gosvw, ...finish } = checked.snp ?? {};
  return inOrder(
    () => sev.tryInit(defined({ vmsaFeatures, ghcbVersion })),
    () => addVcpus(vm, checked, made),
    () => sev.tryStart(defined({ policy, gosvw })),
    ...checked.memory.map((region) => () => sev.tryUpdate(region)),
    () => sev.tryFinish(finish),
  );
}

/** Contents are added through a vCPU, whose KVM keeps the tables that lead to them: a TD with memory has one. */
function launchTd(vm: Vm, checked: Checked, made: Vcpu[]): Promise<Result<void>> {
  const tdx = tdxGuest(vm);
  if (checked.memory.length > 0 && checked.vcpus === 0) {
    throw wrongType('options.vcpus', 'at least 1 where there is memory: a TD is given it through a vCPU', 0);
  }
  return inOrder(
    () => vm.tryEnableCap('KVM_CAP_SPLIT_IRQCHIP', [KVM_IOAPIC_NUM_PINS]),
    () => tdx.tryInit(checked.tdx ?? {}),
    () => addVcpus(vm, checked, made),
    () => inOrder(...made.map((vcpu) => () => showTdCpu(tdx, Vm.internals(vm).context, vcpu))),
    () => inOrder(...made.map((vcpu) => () => tdx.tryInitVcpu(vcpu))),
    ...checked.memory.map((region) => () => tdx.tryInitMemory(made[0]!, region)),
    () => tdx.tryFinalize(),
  );
}

/** KVM believes what KVM_SET_CPUID2 says, and a TD's CPUID is the module's: the first must repeat the second. */
async function showTdCpu(tdx: TdxGuest, { syscalls }: Context, vcpu: Vcpu): Promise<Result<unknown>> {
  const entries = await tdx.tryCpuid(vcpu);
  if (!entries.ok) return entries;
  const { number } = Vcpu.internals(vcpu);
  const bytes = withCpuidEntries(kvm_cpuid2, { nent: entries.value.length }, entries.value);
  const shown = await issue(syscalls, number, prepareIoctl(number, KVM_SET_CPUID2, bytes));
  return shown.ok ? success(undefined) : shown;
}

/** Without the keys that have no value, which would be unknown options. */
const defined = <T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
