/** Bringing up a guest of AMD SEV-SNP, step by step. */

import {
  checkBigint,
  checkBytes,
  checkInteger,
  checkOptions,
  outOfRange,
  U64_MAX,
  wrongType,
} from '../../abi/invalid.ts';
import { PAGE_SIZE } from '../../abi/linux.ts';
import {
  KVM_SEV_INIT2,
  KVM_SEV_SNP_ID_AUTH_SIZE,
  KVM_SEV_SNP_ID_BLOCK_SIZE,
  KVM_SEV_SNP_LAUNCH_FINISH,
  KVM_SEV_SNP_LAUNCH_START,
  KVM_SEV_SNP_LAUNCH_UPDATE,
  SNP_POLICY_RSVD_MBO,
  SNP_POLICY_SMT,
  snpPageTypes,
} from '../../abi/sev.ts';
import { type Context, type OwnedFd, type Result, success, UnsupportedError, unwrap } from '../../host/index.ts';
import type { Vm } from '../vm.ts';
import { checkVm } from './check-vm.ts';
import { type CommandCall, sevCommand } from './command.ts';
import { type CheckedLaunchRegion, checkLaunchRegion, type LaunchRegion } from './region.ts';
import { withScratch } from './scratch.ts';
import { SevFile } from './sev-file.ts';

export interface SevInitOptions {
  /** SVM_SEV_FEAT_* bits; which the host has tells KVM_GET_DEVICE_ATTR on /dev/kvm (KVM_X86_GRP_SEV). 0 by default. */
  readonly vmsaFeatures?: number | bigint;
  /** Of the protocol by which the guest asks for things; KVM's choice by default. */
  readonly ghcbVersion?: number;
}

export interface SnpStartOptions {
  /** SNP_POLICY_* bits; by default nothing but what must be set and SMT, without which most hosts refuse. */
  readonly policy?: number | bigint;
  /** Guest OS visible workarounds, 16 bytes. */
  readonly gosvw?: Uint8Array;
}

export interface SnpFinishOptions {
  /** 32 bytes that the attestation report repeats. */
  readonly hostData?: Uint8Array;
  /** The owner's word on what the measurement must be: 96 bytes, with `idAuth` of 4096. */
  readonly idBlock?: Uint8Array;
  readonly idAuth?: Uint8Array;
  /** `idAuth` has the author's key, too. */
  readonly authKey?: boolean;
  /** The guest gets no reports signed with the chip's own key. */
  readonly vcekDisabled?: boolean;
}

const PAGE = BigInt(PAGE_SIZE);

/** Made by `sevGuest()`. The order is init, vCPUs, start, update, finish; `launch()` does all of it. */
export class SevGuest {
  readonly #context: Context;
  readonly #call: CommandCall;
  readonly #sev: SevFile;

  constructor(context: Context, vm: OwnedFd) {
    this.#context = context;
    this.#call = { context, on: vm, vm };
    this.#sev = new SevFile(context);
    vm.attach({ hurry: () => {}, release: () => this.#sev.close() });
  }

  /**
   * KVM_SEV_INIT2: gives the VM its key. Before the vCPUs.
   *
   * | errno  | meaning                                                      |
   * |--------|--------------------------------------------------------------|
   * | EINVAL | done before, or vCPUs are there, or features the host lacks   |
   * | EBUSY  | no ASID is free                                               |
   *
   * Source: sev_guest_init2(), arch/x86/kvm/svm/sev.c.
   *
   * @throws KernelError, with `firmware` where the firmware refused
   */
  async init(options: SevInitOptions = {}): Promise<void> {
    unwrap(await this.tryInit(options));
  }

  /** As `init`, with the kernel's refusal as a value. */
  async tryInit(options: SevInitOptions = {}): Promise<Result<void>> {
    const { vmsaFeatures = 0n, ghcbVersion = 0 } = checkOptions('options', options, ['vmsaFeatures', 'ghcbVersion']);
    const vmsa_features = checkBigint('options.vmsaFeatures', vmsaFeatures, 0n, U64_MAX);
    const ghcb_version = checkInteger('options.ghcbVersion', ghcbVersion, 0, 0xffff);
    return done(await sevCommand(this.#call, KVM_SEV_INIT2, { vmsa_features, ghcb_version }));
  }

  /**
   * KVM_SEV_SNP_LAUNCH_START: the firmware begins the guest, under a policy.
   *
   * | errno  | meaning                                                                          |
   * |--------|----------------------------------------------------------------------------------|
   * | EINVAL | done before, or a policy the host does not offer                                  |
   * | ENOTTY | no SNP guest yet (init goes before), or the firmware gave no context                |
   * | EIO    | the firmware refused; `error.firmware` names why                                   |
   *
   * Source: snp_launch_start(), arch/x86/kvm/svm/sev.c.
   *
   * @throws KernelError
   */
  async start(options: SnpStartOptions = {}): Promise<void> {
    unwrap(await this.tryStart(options));
  }

  /** As `start`, with the kernel's refusal as a value. */
  async tryStart(options: SnpStartOptions = {}): Promise<Result<void>> {
    const { policy = SNP_POLICY_RSVD_MBO | SNP_POLICY_SMT, gosvw } = checkOptions('options', options, [
      'policy',
      'gosvw',
    ]);
    checkBigint('options.policy', policy, 0n, U64_MAX);
    const values = { policy, gosvw: bytesOf('options.gosvw', gosvw, 16) };
    return await this.#withFirmware((fd) => sevCommand(this.#call, KVM_SEV_SNP_LAUNCH_START, values, fd));
  }

  /**
   * KVM_SEV_SNP_LAUNCH_UPDATE: pages become part of the guest, encrypted and, by their type, measured.
   *
   * | errno  | meaning                                                                               |
   * |--------|---------------------------------------------------------------------------------------|
   * | EINVAL | before start, or no memory region with a guest_memfd there, or 'in-place' is unknown     |
   * | EIO    | a page is not private, or was launched before, or the firmware refused (`firmware`)      |
   *
   * Source: snp_launch_update(), arch/x86/kvm/svm/sev.c.
   *
   * @throws KernelError, whose `completed` says how many bytes were launched
   */
  async update(region: LaunchRegion): Promise<void> {
    unwrap(await this.tryUpdate(region));
  }

  /** As `update`, with the kernel's refusal as a value. */
  async tryUpdate(region: LaunchRegion): Promise<Result<void>> {
    const checked = checkLaunchRegion(region);
    return await this.#withFirmware((fd) => this.#update(checked, fd));
  }

  async #update({ gpa, size, bytes, inPlace, type }: CheckedLaunchRegion, fd: number): Promise<Result<unknown>> {
    const from = (uaddr: bigint) => this.#updateFrom({ gfn_start: gpa / PAGE, uaddr, len: size, type }, fd);
    if (inPlace || type === 'zero') return await from(0n);
    return await withScratch(this.#context, { size: Number(size), ...(bytes && { bytes }) }, from);
  }

  /** The kernel stops at the end of a memory region, and says how far it got. */
  async #updateFrom(
    from: { gfn_start: bigint; uaddr: bigint; len: bigint; type: CheckedLaunchRegion['type'] },
    fd: number,
  ): Promise<Result<void>> {
    const type = snpPageTypes[from.type];
    let { gfn_start, uaddr, len } = from;
    while (len > 0n) {
      const result = await sevCommand(this.#call, KVM_SEV_SNP_LAUNCH_UPDATE, { gfn_start, uaddr, len, type }, fd);
      if (!result.ok) return { ...result, error: result.error.with({ completed: Number(from.len - len) }) };
      ({ gfn_start, uaddr, len } = result.value);
    }
    return success(undefined);
  }

  /**
   * KVM_SEV_SNP_LAUNCH_FINISH: seals the vCPUs' registers and the measurement; the guest can run.
   *
   * | errno  | meaning                                                                   |
   * |--------|---------------------------------------------------------------------------|
   * | EINVAL | start goes before                                                          |
   * | EIO    | the firmware refused: the identity block does not fit, say (`firmware`)     |
   *
   * Source: snp_launch_finish(), arch/x86/kvm/svm/sev.c.
   *
   * @throws KernelError
   */
  async finish(options: SnpFinishOptions = {}): Promise<void> {
    unwrap(await this.tryFinish(options));
  }

  /** As `finish`, with the kernel's refusal as a value. */
  async tryFinish(options: SnpFinishOptions = {}): Promise<Result<void>> {
    const { values, id } = checkFinish(options);
    const result = await this.#withFirmware((fd) =>
      withScratch(this.#context, { bytes: id, size: 2 * PAGE_SIZE }, (address) => {
        const blobs = { id_block_uaddr: address, id_auth_uaddr: address + PAGE };
        return sevCommand(this.#call, KVM_SEV_SNP_LAUNCH_FINISH, { ...values, ...blobs }, fd);
      }),
    );
    if (result.ok) await this.#sev.close();
    return result;
  }

  async #withFirmware(work: (fd: number) => Promise<Result<unknown>>): Promise<Result<void>> {
    return await this.#call.vm.use(async () => {
      const opened = await this.#sev.open();
      return opened.ok ? done(await work(opened.value)) : opened;
    });
  }
}

const made = new WeakMap<Vm, SevGuest>();

/** The steps that bring up an SNP guest, one by one. @throws UnsupportedError for types other than sev, sev-es and snp */
export function sevGuest(vm: Vm): SevGuest {
  const { context, handle } = checkVm(vm);
  if (!['sev', 'sev-es', 'snp'].includes(vm.type)) throw new UnsupportedError(`a VM of type ${vm.type} has no SEV`);
  const guest = made.get(vm) ?? new SevGuest(context, handle);
  made.set(vm, guest);
  return guest;
}

const done = (result: Result<unknown>): Result<void> => (result.ok ? success(undefined) : result);

function bytesOf(what: string, value: Uint8Array | undefined, length: number): number[] {
  if (value === undefined) return [];
  if (checkBytes(what, value).byteLength !== length) throw outOfRange(what, `of ${length} bytes`, value.byteLength);
  return [...value];
}

/** The identity block first, its authentication a page later, both only where they are given. */
function checkFinish(options: SnpFinishOptions) {
  const keys = ['hostData', 'idBlock', 'idAuth', 'authKey', 'vcekDisabled'] as const;
  const { hostData, idBlock, idAuth, authKey = false, vcekDisabled = false } = checkOptions('options', options, keys);
  if ((idBlock === undefined) !== (idAuth === undefined)) {
    throw wrongType('options.idBlock and options.idAuth', 'given both or neither', idBlock ?? idAuth);
  }
  for (const [name, value] of Object.entries({ authKey, vcekDisabled })) {
    if (typeof value !== 'boolean') throw wrongType(`options.${name}`, 'a boolean', value);
  }
  const id = new Uint8Array(2 * PAGE_SIZE);
  id.set(bytesOf('options.idBlock', idBlock, KVM_SEV_SNP_ID_BLOCK_SIZE));
  id.set(bytesOf('options.idAuth', idAuth, KVM_SEV_SNP_ID_AUTH_SIZE), PAGE_SIZE);
  const values = {
    id_block_en: idBlock ? 1 : 0,
    auth_key_en: authKey ? 1 : 0,
    vcek_disabled: vcekDisabled ? 1 : 0,
    host_data: bytesOf('options.hostData', hostData, 32),
  };
  return { values, id };
}
