/** One VM on a host with SEV: its key, its state, and which of its vCPUs are sealed. Plain VMs have it too, unused. */

import { errno } from '../../../abi/errno.ts';
import { KVM_X86_SEV_ES_VM, KVM_X86_SEV_VM, KVM_X86_SNP_VM } from '../../../abi/kvm.ts';
import type { Folio } from '../../memory.ts';
import type { UserMemory } from '../../process/index.ts';
import type { GuestHardware, HostVm, Touch } from '../guest-hardware.ts';
import { EncryptedRegions } from './encrypted-regions.ts';
import { sevCommand } from './sev-commands.ts';
import type { SevGuest, SevHost } from './sev-guest.ts';

export class SevHardware implements GuestHardware, SevGuest {
  readonly platform: SevHost;
  readonly vm: HostVm;
  readonly sharedBit = 0n;
  readonly regions: EncryptedRegions;
  asid: number | undefined;
  context: SevGuest['context'];
  legacy: SevGuest['legacy'];
  /** vCPUs whose registers are sealed. */
  readonly sealed = new Set<number>();
  readonly #vcpus = new Set<number>();

  constructor(platform: SevHost, vm: HostVm) {
    this.platform = platform;
    this.vm = vm;
    this.regions = new EncryptedRegions(vm.process);
  }

  /** The machine types that KVM_SEV_INIT2 is for. */
  get isConfidential(): boolean {
    return [KVM_X86_SEV_VM, KVM_X86_SEV_ES_VM, KVM_X86_SNP_VM].includes(this.vm.type);
  }

  get isSnp(): boolean {
    return this.asid !== undefined && this.vm.type === KVM_X86_SNP_VM;
  }

  get hasProtectedState(): boolean {
    return this.asid !== undefined && this.vm.type !== KVM_X86_SEV_VM;
  }

  get isLaunched(): boolean {
    if (!this.isConfidential) return true;
    return (this.isSnp ? this.context?.isRunning : this.legacy?.isRunning) === true;
  }

  needsInitialization(): boolean {
    return this.isConfidential && this.asid === undefined;
  }

  /** VMRUN on a guest that the firmware has not made active, or with a VMSA that it has not encrypted. */
  entryFails(vcpu: number): boolean {
    return !this.isLaunched || (this.hasProtectedState && !this.sealed.has(vcpu));
  }

  get preFaultAllowed(): boolean {
    return this.vm.type !== KVM_X86_SNP_VM || this.context?.isRunning === true;
  }

  sealsRegisters(vcpu: number): boolean {
    return this.sealed.has(vcpu);
  }

  createVcpu(id: number): number {
    this.#vcpus.add(id);
    return 0;
  }

  sealVcpus(encrypt: () => number): number {
    for (const id of this.#vcpus) {
      const refusal = this.sealed.has(id) ? -errno.EINVAL : encrypt();
      if (refusal !== 0) return refusal;
      this.sealed.add(id);
    }
    return 0;
  }

  /** sev_gmem_make_private(). */
  makePrivate(gfn: number, folio: Folio, large: boolean): void {
    const { rmp } = this.platform;
    const pfn = folio.pfn!;
    if (!this.isSnp || rmp.lookup(pfn)) return;
    const inStep = (gfn - pfn) % 512 === 0;
    const size = large && inStep && rmp.isFree2M(pfn) ? '2M' : '4K';
    rmp.assign(pfn, gfn, this.asid!, size);
  }

  /** A page that the guest did not validate raises #VC in it, and a guest without a handler shuts down. */
  touch(_gfn: number, folio: Folio, accepts: boolean): Touch {
    if (!this.isSnp || this.platform.isValidated(folio)) return 'reached';
    if (!accepts) return 'shutdown';
    this.platform.validate(folio, { encrypted: false });
    return 'reached';
  }

  command(user: UserMemory): number {
    return sevCommand(this, user);
  }

  vcpuCommand(): number {
    return -errno.ENOTTY;
  }

  registerRegion(address: bigint, size: bigint): number {
    return this.asid === undefined ? -errno.ENOTTY : this.regions.add(address, size);
  }

  unregisterRegion(address: bigint, size: bigint): number {
    return this.asid === undefined ? -errno.ENOTTY : this.regions.remove(address, size);
  }

  destroy(): void {
    this.regions.removeAll();
    if (this.asid !== undefined) this.platform.asids.give(this.asid);
  }
}
