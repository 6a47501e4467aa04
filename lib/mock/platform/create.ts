/** The platforms by name. */

import { KVM_X86_SEV_ES_VM, KVM_X86_SEV_VM, KVM_X86_SNP_VM, KVM_X86_TDX_VM } from '../../abi/kvm.ts';
import type { Folio } from '../memory.ts';
import type { Platform, PlatformName } from './platform.ts';
import { plain, scramble, scrambled } from './scramble.ts';

const nothing = (): void => {};

/** A platform's own memory of which pages are guests'. */
const MAKERS: Readonly<Record<PlatformName, () => Platform>> = {
  'software-protected': () => ({
    name: 'software-protected',
    machineTypes: [],
    separateTables: false,
    keepsTranslations: false,
    machineCheck: undefined,
    makePrivate: nothing,
    unmapPrivate: nothing,
    reach: () => ({ outcome: 'reached' }),
    holds: () => true,
    seenOutside: plain,
    freed: nothing,
  }),
  'sev-snp': () => {
    const assigned = new Set<Folio>();
    return {
      name: 'sev-snp',
      machineTypes: [KVM_X86_SEV_VM, KVM_X86_SEV_ES_VM, KVM_X86_SNP_VM],
      separateTables: false,
      keepsTranslations: true,
      machineCheck: undefined,
      makePrivate: (folio) => {
        scramble(folio);
        assigned.add(folio);
      },
      unmapPrivate: nothing,
      makeShared: (folio) => {
        scramble(folio);
        assigned.delete(folio);
      },
      reach: (folio, { write }) => {
        if (!assigned.has(folio)) return { outcome: 'reached' };
        return write ? { outcome: 'blocked', fault: 'RMP fault: the page is a guest’s' } : { outcome: 'ciphertext' };
      },
      holds: (folio) => assigned.has(folio),
      seenOutside: (folio) => (assigned.has(folio) ? scrambled(folio) : plain(folio)),
      freed: (folio) => assigned.delete(folio),
    };
  },
  tdx: () => {
    const mapped = new Set<Folio>();
    return {
      name: 'tdx',
      machineTypes: [KVM_X86_TDX_VM],
      separateTables: true,
      keepsTranslations: false,
      machineCheck: undefined,
      makePrivate: (folio) => {
        folio.zero();
        mapped.add(folio);
      },
      unmapPrivate: (folio) => {
        scramble(folio);
        mapped.delete(folio);
      },
      reach: (folio, { by }) => {
        if (!mapped.has(folio)) return { outcome: 'reached' };
        return { outcome: 'machine-check', cause: `the ${by} used a shared mapping of a page that a TD has` };
      },
      holds: (folio) => mapped.has(folio),
      seenOutside: (folio) => (mapped.has(folio) ? scrambled(folio) : plain(folio)),
      freed: (folio) => mapped.delete(folio),
    };
  },
};

export const platformNames = Object.keys(MAKERS) as readonly PlatformName[];

/** A machine of that architecture, on which no guest owns a page yet. */
export const createPlatform = (name: PlatformName): Platform => MAKERS[name]();
