/** The platforms by name. */

import type { Platform, PlatformName } from './platform.ts';
import { SnpPlatform } from './snp/snp.ts';
import { softwareProtected } from './software-protected.ts';
import { TdxPlatform } from './tdx/tdx.ts';

const MAKERS: Readonly<Record<PlatformName, () => Platform>> = {
  'software-protected': softwareProtected,
  'sev-snp': () => new SnpPlatform(),
  tdx: () => new TdxPlatform(),
};

export const platformNames = Object.keys(MAKERS) as readonly PlatformName[];

/** A machine of that architecture, on which no guest owns a page yet. */
export const createPlatform = (name: PlatformName): Platform => MAKERS[name]();
