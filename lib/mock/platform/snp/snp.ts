/**
 * An AMD host with SEV-SNP. A guest's page is encrypted where it lies, with the guest's key, and the RMP says whose it
 * is: others read noise, and their writes are faults of their own.
 */

import {
  KVM_X86_SEV_ES_VM,
  KVM_X86_SEV_SNP_REQ_CERTS,
  KVM_X86_SEV_VM,
  KVM_X86_SEV_VMSA_FEATURES,
  KVM_X86_SNP_POLICY_BITS,
  KVM_X86_SNP_VM,
  SEV_PATH,
} from '../../../abi/index.ts';
import type { Folio } from '../../memory.ts';
import { PageMap } from '../../page-map.ts';
import type { PageOwner, Platform } from '../platform.ts';
import { plain, scramble, scrambled } from '../scramble.ts';
import { Asids } from './asids.ts';
import { SNP_POLICY_BITS, VMSA_FEATURES } from './firmware.ts';
import { Rmp } from './rmp.ts';
import type { SevHost } from './sev-guest.ts';
import { SevHardware } from './sev-hardware.ts';

export class SnpPlatform implements Platform, SevHost {
  readonly name = 'sev-snp';
  readonly machineTypes = [KVM_X86_SEV_VM, KVM_X86_SEV_ES_VM, KVM_X86_SNP_VM];
  readonly separateTables = false;
  readonly keepsTranslations = true;
  readonly driverPath = SEV_PATH;
  readonly rmp = new Rmp();
  readonly asids = new Asids();
  machineCheck: string | undefined;
  /** Assigned pages that their guest has by now: validated, and encrypted with its key. */
  readonly #validated = new PageMap<{ readonly folio: Folio; readonly asid: number }>();

  createGuest(...[vm]: Parameters<Platform['createGuest']>): SevHardware {
    return new SevHardware(this, vm);
  }

  get ownedPages(): number {
    return this.rmp.assigned;
  }

  owner(folio: Folio): PageOwner | undefined {
    const entry = folio.pfn === undefined ? undefined : this.rmp.lookup(folio.pfn);
    return entry && { size: entry.size, accepted: this.isValidated(folio) };
  }

  isValidated({ pfn }: Folio): boolean {
    return this.#validated.get(pfn!) !== undefined;
  }

  validate(folio: Folio, { encrypted }: { readonly encrypted: boolean }): void {
    const { asid } = this.rmp.lookup(folio.pfn!)!;
    this.#validated.set(folio.pfn!, { folio, asid });
    if (!encrypted) scramble(folio, asid);
  }

  makeShared(pfn: number, pages: number): boolean {
    if (!this.rmp.shareRange(pfn, pfn + pages)) return false;
    // The bytes stay as they are; that they were a guest's is what the host sees of them.
    for (const [page, { folio, asid }] of this.#validated.within(pfn, pfn + pages)) {
      this.#validated.delete(page);
      scramble(folio, asid);
    }
    return true;
  }

  reach(folio: Folio, { write }: Parameters<Platform['reach']>[1]): ReturnType<Platform['reach']> {
    const entry = folio.pfn === undefined ? undefined : this.rmp.lookup(folio.pfn);
    if (!entry) return { outcome: 'reached' };
    if (!write) return { outcome: 'ciphertext' };
    return { outcome: 'blocked', fault: `RMP fault, the page is assigned to the guest with ASID ${entry.asid}` };
  }

  holds(folio: Folio): boolean {
    return this.owner(folio)?.accepted === true;
  }

  seenOutside(folio: Folio): Uint8Array {
    const guest = folio.pfn === undefined ? undefined : this.#validated.get(folio.pfn);
    return guest ? scrambled(folio, guest.asid) : plain(folio);
  }

  freed(pfn: number, pages: number): void {
    this.rmp.shareRange(pfn, pfn + pages);
    for (const [page] of this.#validated.within(pfn, pfn + pages)) this.#validated.delete(page);
  }

  attribute(attribute: bigint): bigint | undefined {
    return ATTRIBUTES.get(attribute);
  }
}

const ATTRIBUTES = new Map([
  [KVM_X86_SEV_VMSA_FEATURES, VMSA_FEATURES],
  [KVM_X86_SNP_POLICY_BITS, SNP_POLICY_BITS],
  [KVM_X86_SEV_SNP_REQ_CERTS, 1n],
]);
