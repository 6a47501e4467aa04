/** A guest and its host as the launch commands see them. The commands stand below the hardware that receives them. */

import type { Folio } from '../../memory.ts';
import type { HostVm } from '../guest-hardware.ts';
import type { Platform } from '../platform.ts';
import type { Asids } from './asids.ts';
import type { EncryptedRegions } from './encrypted-regions.ts';
import type { LegacyContext, SnpContext } from './firmware.ts';
import type { Rmp } from './rmp.ts';

export interface SevHost extends Pick<Platform, 'owner'> {
  readonly rmp: Rmp;
  readonly asids: Asids;
  isValidated(folio: Folio): boolean;
  /**
   * PVALIDATE by the guest, or the firmware's part of a launch. What lay there becomes noise to the guest, whose key it
   * was not encrypted with; `encrypted`: the firmware has seen to that.
   */
  validate(folio: Folio, how: { readonly encrypted: boolean }): void;
}

export interface SevGuest {
  readonly platform: SevHost;
  readonly vm: HostVm;
  /** sev->active: the VM has a key. */
  asid: number | undefined;
  /** Of SNP: what the firmware keeps of the guest. */
  context: SnpContext | undefined;
  /** The same of SEV and SEV-ES. */
  legacy: LegacyContext | undefined;
  readonly regions: EncryptedRegions;
  readonly isSnp: boolean;
  needsInitialization(): boolean;
  /**
   * Encrypts the registers of all vCPUs there are, each by `encrypt`, and stops at the first refusal: 0, or -errno. One
   * that is sealed is EINVAL (sev_es_sync_vmsa()).
   */
  sealVcpus(encrypt: () => number): number;
}
