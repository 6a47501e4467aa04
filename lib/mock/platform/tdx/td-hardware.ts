/** One TD: its state, its vCPUs', and its pages in the secure EPT. */

import { errno } from '../../../abi/errno.ts';
import { TDX_TD_ATTR_SEPT_VE_DISABLE } from '../../../abi/tdx.ts';
import type { Folio } from '../../memory.ts';
import type { PageMap } from '../../page-map.ts';
import type { UserMemory } from '../../process/index.ts';
import type { GuestHardware, HostVm, Touch } from '../guest-hardware.ts';
import { scramble } from '../scramble.ts';
import { SecureEpt, type SeptEntry } from './sept.ts';
import type { Td, TdParameters } from './td.ts';
import { vcpuCommand, vmCommand } from './td-commands.ts';

export class TdHardware implements GuestHardware, Td {
  readonly vm: HostVm;
  readonly sept = new SecureEpt();
  parameters: TdParameters | undefined;
  finalized = false;
  readonly initialized = new Set<number>();
  /** The platform's, of all TDs. */
  readonly #owners: PageMap<SeptEntry>;

  constructor(owners: PageMap<SeptEntry>, vm: HostVm) {
    this.#owners = owners;
    this.vm = vm;
  }

  get isLaunched(): boolean {
    return this.finalized;
  }

  get isBuilding(): boolean {
    return this.parameters !== undefined && !this.finalized;
  }

  get sharedBit(): bigint {
    return this.parameters?.sharedBit ?? 0n;
  }

  needsInitialization(vcpu: number): boolean {
    return !this.finalized || !this.initialized.has(vcpu);
  }

  entryFails(): boolean {
    return false;
  }

  get preFaultAllowed(): boolean {
    return this.finalized;
  }

  /** KVM offers no TD that can be debugged, so it never has their registers. */
  sealsRegisters(): boolean {
    return true;
  }

  /** tdx_vcpu_create(). */
  createVcpu(): number {
    if (!this.isBuilding) return -errno.EIO;
    return this.vm.hasSplitIrqchip ? 0 : -errno.EINVAL;
  }

  /** TDH.MEM.PAGE.AUG at the guest's fault. */
  makePrivate(gfn: number, folio: Folio): void {
    const entry = this.sept.augment(gfn, folio);
    if (entry) this.#owners.set(folio.pfn!, entry);
  }

  addPage(gfn: number, folio: Folio): boolean {
    const entry = this.sept.add(gfn, folio);
    if (entry) this.#owners.set(folio.pfn!, entry);
    return entry !== undefined;
  }

  /**
   * A page that the guest did not accept raises #VE in it, without a handler its end; or, where the TD has that off, it
   * leaves the TD, and KVM gives the VM up: tdx_handle_ept_violation().
   */
  touch(gfn: number, _folio: Folio, accepts: boolean): Touch {
    if (this.sept.state(gfn) !== 'pending') return 'reached';
    if (accepts) {
      this.sept.accept(gfn);
      return 'reached';
    }
    if (!(this.parameters!.attributes & TDX_TD_ATTR_SEPT_VE_DISABLE)) return 'shutdown';
    this.vm.kill();
    return 'killed';
  }

  /** tdx_sept_remove_leaf_spte(): block, track, remove. A SEAMCALL that fails is a bug: the VM dies, the TD keeps the page. */
  unmapPrivate(gfn: number): void {
    this.sept.block(gfn);
    if (this.vm.seamcallFails()) {
      this.vm.kill();
      return;
    }
    const folio = this.sept.remove(gfn);
    if (folio) this.#giveBack(folio);
  }

  /** What was in it was encrypted with the TD's key, which nobody has now. */
  #giveBack(folio: Folio): void {
    this.#owners.delete(folio.pfn!);
    scramble(folio);
  }

  command(user: UserMemory): number {
    return vmCommand(this, user);
  }

  vcpuCommand(id: number, user: UserMemory): number {
    return vcpuCommand(this, id, user);
  }

  registerRegion(): number {
    return -errno.ENOTTY;
  }

  unregisterRegion(): number {
    return -errno.ENOTTY;
  }

  /** tdx_mmu_release_hkid() and what follows: the module gives everything back. */
  destroy(): void {
    for (const folio of this.sept.reclaim()) this.#giveBack(folio);
  }
}
