/** Bringing up a TD of Intel TDX, step by step. */

import { type CpuidEntry, cpuidEntriesOf, KVM_MAX_CPUID_ENTRIES, withCpuidEntries } from '../../abi/cpuid-list.ts';
import {
  checkBigint,
  checkBytes,
  checkOneOf,
  checkOptions,
  outOfRange,
  U64_MAX,
  wrongType,
} from '../../abi/invalid.ts';
import { PAGE_SIZE } from '../../abi/linux.ts';
import {
  KVM_TDX_CAPABILITIES,
  KVM_TDX_FINALIZE_VM,
  KVM_TDX_GET_CPUID,
  KVM_TDX_INIT_MEM_REGION,
  KVM_TDX_INIT_VCPU,
  KVM_TDX_INIT_VM,
  KVM_TDX_MEASURE_MEMORY_REGION,
} from '../../abi/tdx.ts';
import { kvm_cpuid2 } from '../../abi/vcpu.ts';
import { type Context, type OwnedFd, type Result, success, UnsupportedError, unwrap } from '../../host/index.ts';
import { supportedCpuid } from '../cpuid.ts';
import { Vcpu } from '../vcpu.ts';
import type { Vm } from '../vm.ts';
import { checkVm } from './check-vm.ts';
import { tdxBytes, tdxCommand } from './command.ts';
import { checkLaunchRegion, type LaunchRegion } from './region.ts';
import { withScratch } from './scratch.ts';
import { type AddressWidth, configurableCpuid, defaultAttributes } from './td-cpuid.ts';

/** What a TD may be given here, as KVM and the TDX module have it. */
export interface TdxCapabilities {
  /** TDX_TD_ATTR_* bits. */
  readonly attributes: bigint;
  readonly xfam: bigint;
  /** Which bits of which leaves userspace decides about. */
  readonly cpuid: readonly CpuidEntry[];
}

export interface TdInitOptions {
  /** TDX_TD_ATTR_* bits; by default SEPT_VE_DISABLE where there is that. */
  readonly attributes?: number | bigint;
  /** Extended features (as XCR0 and IA32_XSS); by default all that are offered. */
  readonly xfam?: number | bigint;
  /** Bits of a guest-physical address, which put the shared bit at 47 or 51; 48 by default. */
  readonly addressWidth?: AddressWidth;
  /** By default what KVM can show of this host, as far as a TD may choose it. */
  readonly cpuid?: readonly CpuidEntry[];
  /** SHA-384 digests, 48 bytes each, which the TD's report repeats. */
  readonly mrConfigId?: Uint8Array;
  readonly mrOwner?: Uint8Array;
  readonly mrOwnerConfig?: Uint8Array;
}

const INIT_OPTIONS = ['attributes', 'xfam', 'addressWidth', 'cpuid', 'mrConfigId', 'mrOwner', 'mrOwnerConfig'] as const;
const PAGE = BigInt(PAGE_SIZE);

/** Made by `tdxGuest()`. The order is init, vCPUs, initVcpu, initMemory, finalize; `launch()` does all of it. */
export class TdxGuest {
  readonly #context: Context;
  readonly #vm: OwnedFd;
  readonly #system: number;

  /** `system`: the fd of /dev/kvm. */
  constructor(context: Context, vm: OwnedFd, system: number) {
    this.#context = context;
    this.#vm = vm;
    this.#system = system;
  }

  #call(on: OwnedFd = this.#vm) {
    return { context: this.#context, on, vm: this.#vm };
  }

  /**
   * KVM_TDX_CAPABILITIES. At any time.
   *
   * Source: tdx_get_capabilities(), arch/x86/kvm/vmx/tdx.c.
   *
   * @throws KernelError EIO where the module insists on what KVM does not support
   */
  async capabilities(): Promise<TdxCapabilities> {
    return unwrap(await this.tryCapabilities());
  }

  /** As `capabilities`, with the kernel's refusal as a value. */
  async tryCapabilities(): Promise<Result<TdxCapabilities>> {
    const { struct } = KVM_TDX_CAPABILITIES;
    const bytes = withCpuidEntries(struct, { cpuid: { nent: KVM_MAX_CPUID_ENTRIES } }, [], KVM_MAX_CPUID_ENTRIES);
    const result = await tdxBytes(this.#call(), KVM_TDX_CAPABILITIES, bytes);
    if (!result.ok) return result;
    const { supported_attrs: attributes, supported_xfam: xfam, cpuid } = struct.decode(bytes);
    return success({ attributes, xfam, cpuid: cpuidEntriesOf(struct, bytes, cpuid.nent) });
  }

  /**
   * KVM_TDX_INIT_VM: makes the TD, with its key. Before the vCPUs, and after KVM_CAP_SPLIT_IRQCHIP, which they need.
   *
   * | errno  | meaning                                                                              |
   * |--------|--------------------------------------------------------------------------------------|
   * | EINVAL | done before, or an attribute, feature, width or CPUID entry that is not offered; where |
   * |        | the module refused it, `error.firmware` says so                                       |
   * | EBUSY  | a vCPU is being made at this very moment                                               |
   * | EIO    | the module failed                                                                      |
   *
   * Source: tdx_td_init(), arch/x86/kvm/vmx/tdx.c.
   *
   * @throws KernelError
   */
  async init(options: TdInitOptions = {}): Promise<void> {
    unwrap(await this.tryInit(options));
  }

  /** As `init`, with the kernel's refusal as a value. */
  async tryInit(options: TdInitOptions = {}): Promise<Result<void>> {
    const digests = checkInit(options);
    const offered = await this.tryCapabilities();
    if (!offered.ok) return offered;
    const { attributes = defaultAttributes(offered.value.attributes), xfam = offered.value.xfam } = options;
    const entries = options.cpuid ?? (await this.#chooseCpuid(offered.value.cpuid, options.addressWidth ?? 48));
    const values = { attributes, xfam, ...digests, cpuid: { nent: entries.length } };
    const bytes = withCpuidEntries(KVM_TDX_INIT_VM.struct, values, entries);
    return await tdxBytes(this.#call(), KVM_TDX_INIT_VM, bytes, {
      shown: { attributes, xfam, cpuid: `${entries.length} entries` },
    });
  }

  async #chooseCpuid(configurable: readonly CpuidEntry[], width: AddressWidth): Promise<readonly CpuidEntry[]> {
    const bytes = unwrap(await supportedCpuid(this.#context, this.#system));
    const { nent } = kvm_cpuid2.decode(bytes);
    return configurableCpuid(configurable, cpuidEntriesOf(kvm_cpuid2, bytes, nent), width);
  }

  /**
   * KVM_TDX_INIT_VCPU: makes the vCPU one of the TD's.
   *
   * @param rcx What the guest finds in RCX at its first instruction.
   * @throws KernelError EINVAL when done before, or after finalize
   */
  async initVcpu(vcpu: Vcpu, rcx: number | bigint = 0n): Promise<void> {
    unwrap(await this.tryInitVcpu(vcpu, rcx));
  }

  /** As `initVcpu`, with the kernel's refusal as a value. */
  async tryInitVcpu(vcpu: Vcpu, rcx: number | bigint = 0n): Promise<Result<void>> {
    const data = checkBigint('rcx', rcx, 0n, U64_MAX);
    return await tdxBytes(this.#call(handleOf(vcpu)), KVM_TDX_INIT_VCPU, undefined, { data, shown: { rcx: data } });
  }

  /** KVM_TDX_GET_CPUID: what the TD's CPUID answers. Before finalize. @throws KernelError */
  async cpuid(vcpu: Vcpu): Promise<CpuidEntry[]> {
    return unwrap(await this.tryCpuid(vcpu));
  }

  /** As `cpuid`, with the kernel's refusal as a value. */
  async tryCpuid(vcpu: Vcpu): Promise<Result<CpuidEntry[]>> {
    const bytes = withCpuidEntries(kvm_cpuid2, { nent: KVM_MAX_CPUID_ENTRIES }, [], KVM_MAX_CPUID_ENTRIES);
    const result = await tdxBytes(this.#call(handleOf(vcpu)), KVM_TDX_GET_CPUID, bytes);
    return result.ok ? success(cpuidEntriesOf(kvm_cpuid2, bytes, kvm_cpuid2.decode(bytes).nent)) : result;
  }

  /**
   * KVM_TDX_INIT_MEM_REGION: pages become part of the TD, with contents, and measured where asked.
   *
   * | errno  | meaning                                                                                |
   * |--------|----------------------------------------------------------------------------------------|
   * | EINVAL | after finalize, or the vCPU is not initialised, or a page is not private                  |
   * | EIO    | the module refused; KVM kills the VM then                                                |
   *
   * Source: tdx_vcpu_init_mem_region(), arch/x86/kvm/vmx/tdx.c.
   *
   * @throws KernelError, whose `completed` says how many bytes were added
   */
  async initMemory(vcpu: Vcpu, region: LaunchRegion): Promise<void> {
    unwrap(await this.tryInitMemory(vcpu, region));
  }

  /** As `initMemory`, with the kernel's refusal as a value. */
  async tryInitMemory(vcpu: Vcpu, region: LaunchRegion): Promise<Result<void>> {
    const { gpa, size, bytes, inPlace, measured } = checkLaunchRegion(region);
    const handle = handleOf(vcpu);
    const from = (source: bigint) => this.#addFrom(handle, source, gpa, size, measured);
    if (inPlace) return await from(0n);
    return await withScratch(this.#context, { size: Number(size), ...(bytes && { bytes }) }, from);
  }

  /** The kernel stops at a signal, and says how far it got. */
  async #addFrom(vcpu: OwnedFd, source: bigint, start: bigint, size: bigint, measured: boolean): Promise<Result<void>> {
    const flags = measured ? KVM_TDX_MEASURE_MEMORY_REGION : 0;
    const left = { source_addr: source, gpa: start, nr_pages: size / PAGE };
    const result = await tdxCommand(this.#call(vcpu), KVM_TDX_INIT_MEM_REGION, left, flags);
    return result.ok ? success(undefined) : result;
  }

  /**
   * KVM_TDX_FINALIZE_VM: seals the measurement; the TD can run, and takes neither vCPUs nor contents any more.
   *
   * @throws KernelError EINVAL before init, or when done before
   */
  async finalize(): Promise<void> {
    unwrap(await this.tryFinalize());
  }

  /** As `finalize`, with the kernel's refusal as a value. */
  async tryFinalize(): Promise<Result<void>> {
    return await tdxBytes(this.#call(), KVM_TDX_FINALIZE_VM, undefined);
  }
}

/** The steps that bring up a TD, one by one. @throws UnsupportedError for types other than tdx */
export function tdxGuest(vm: Vm): TdxGuest {
  const { context, handle, system } = checkVm(vm);
  if (vm.type !== 'tdx') throw new UnsupportedError(`a VM of type ${vm.type} is no TD`);
  return new TdxGuest(context, handle, system);
}

function handleOf(vcpu: Vcpu): OwnedFd {
  if (!(vcpu instanceof Vcpu)) throw wrongType('vcpu', 'a Vcpu', vcpu);
  return Vcpu.internals(vcpu);
}

function checkInit(options: TdInitOptions) {
  const { attributes, xfam, addressWidth = 48, cpuid } = checkOptions<TdInitOptions>('options', options, INIT_OPTIONS);
  if (attributes !== undefined) checkBigint('options.attributes', attributes, 0n, U64_MAX);
  if (xfam !== undefined) checkBigint('options.xfam', xfam, 0n, U64_MAX);
  checkOneOf('options.addressWidth', String(addressWidth), ['48', '52']);
  if (cpuid !== undefined && !Array.isArray(cpuid)) throw wrongType('options.cpuid', 'a list of entries', cpuid);
  return {
    mrconfigid: digest('options.mrConfigId', options.mrConfigId),
    mrowner: digest('options.mrOwner', options.mrOwner),
    mrownerconfig: digest('options.mrOwnerConfig', options.mrOwnerConfig),
  };
}

function digest(what: string, bytes: Uint8Array | undefined): bigint[] {
  if (bytes === undefined) return [];
  if (checkBytes(what, bytes).byteLength !== 48) throw outOfRange(what, 'of 48 bytes', bytes.byteLength);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 48);
  return Array.from({ length: 6 }, (_, i) => view.getBigUint64(i * 8, true));
}
