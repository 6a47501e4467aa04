/**
 * An Intel host with TDX. A TD's page is encrypted with the TD's key; the module that keeps the secure EPT loses its
 * contents when it takes it out. Whoever reaches such a page through a shared mapping brings the host down.
 */

import { KVM_X86_TDX_VM } from '../../../abi/kvm.ts';
import type { Folio } from '../../memory.ts';
import { PageMap } from '../../page-map.ts';
import type { GuestHardware } from '../guest-hardware.ts';
import type { OutsideAccess, PageOwner, Platform, Reach } from '../platform.ts';
import { plain, scrambled } from '../scramble.ts';
import type { SeptEntry } from './sept.ts';
import { TdHardware } from './td-hardware.ts';
import { vmxGuest } from './vmx-guest.ts';

export class TdxPlatform implements Platform {
  readonly name = 'tdx';
  readonly machineTypes = [KVM_X86_TDX_VM];
  readonly separateTables = true;
  readonly keepsTranslations = false;
  machineCheck: string | undefined;
  /** By page, its entry in the secure EPT of the TD that has it. */
  readonly owners = new PageMap<SeptEntry>();

  createGuest(...[vm]: Parameters<Platform['createGuest']>): GuestHardware {
    return vm.type === KVM_X86_TDX_VM ? new TdHardware(this.owners, vm) : vmxGuest;
  }

  get ownedPages(): number {
    return this.owners.size;
  }

  owner({ pfn }: Folio): PageOwner | undefined {
    const entry = pfn === undefined ? undefined : this.owners.get(pfn);
    return entry && { size: '4K', accepted: entry.state !== 'pending' };
  }

  reach(folio: Folio, { by }: OutsideAccess): Reach {
    if (!this.owner(folio)) return { outcome: 'reached' };
    return { outcome: 'machine-check', cause: `the ${by} used a shared mapping of a page that a TD has` };
  }

  holds(folio: Folio): boolean {
    return this.owner(folio)?.accepted === true;
  }

  seenOutside(folio: Folio): Uint8Array {
    return this.owner(folio) ? scrambled(folio) : plain(folio);
  }

  /** What a TD still has then, after a SEAMCALL that failed, it has until it is torn down. */
  freed(): void {}
}
