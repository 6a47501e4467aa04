/** A guest, its memory, and an IOAS with a device on a mocked machine. */

import { PAGE_SIZE } from '../abi/linux.ts';
import { GuestRam } from '../guest-ram/index.ts';
import type { VmType } from '../host/index.ts';
import type { Ioas } from '../iommu/index.ts';
import { type Host, LAUNCHABLE, launch, openHost } from '../kvm/index.ts';
import type { DmaEngine, MockControls, PlatformName, ProfileName } from '../mock/index.ts';
import { type DesignName, policyOf } from './designs.ts';

export interface MachineOptions {
  readonly kernel: ProfileName;
  readonly platform: PlatformName;
  readonly design: DesignName;
  /** Bytes of guest memory. */
  readonly size: number;
}

/** Where the guest has its memory, and devices too: as the test driver's page tables allow, and aligned for the largest entries. */
export const GPA = 0x4000_0000n;
/** The test driver's page tables end here. */
export const LARGEST_MEMORY = 0x4000_0000;

const VM_TYPES: Readonly<Record<PlatformName, VmType>> = {
  'software-protected': 'sw-protected',
  'sev-snp': 'snp',
  tdx: 'tdx',
};

export interface Machine extends AsyncDisposable {
  readonly mock: MockControls;
  readonly platform: PlatformName;
  readonly ram: GuestRam;
  readonly ioas: Ioas;
  readonly device: DmaEngine;
  /** The guest uses a page that it has just been given. */
  touch(page: number, how: 'shared' | 'private'): void;
}

const WORD = Uint8Array.of(0x5a, 0xa5, 0x5a, 0xa5);

export const addressOf = (page: number): bigint => GPA + BigInt(page) * BigInt(PAGE_SIZE);

export async function startMachine({ kernel, platform, design, size }: MachineOptions): Promise<Machine> {
  const host = await openHost({ backend: 'mock', kernel, platform, iommu: policyOf(design) });
  try {
    return await build(host, platform, size);
  } catch (error) {
    await host.close();
    throw error;
  }
}

async function build(host: Host, platform: PlatformName, size: number): Promise<Machine> {
  const mock = host.mock!;
  const vm = await host.createVm({ type: VM_TYPES[platform] });
  if (LAUNCHABLE.includes(vm.type)) await launch(vm);
  const ram = await GuestRam.create(vm, { size, initially: 'private', regions: [{ slot: 0, guestPhysAddr: GPA }] });
  const iommufd = await host.iommufd();
  const ioas = await iommufd.allocIoas();
  await iommufd.test.mockDevice(ioas);
  const guest = mock.guest(vm.fd);
  const hasPrivateBit = platform !== 'software-protected';
  return {
    mock,
    platform,
    ram,
    ioas,
    device: mock.dma(iommufd.fd, ioas.id),
    touch: (page, access) => {
      const wrote = guest.write(addressOf(page), WORD, hasPrivateBit ? { access } : {});
      if (!wrote.ok) throw new Error(`the guest could not use its ${access} page ${page}: ${wrote.exit.reason}`);
    },
    [Symbol.asyncDispose]: () => host.close(),
  };
}
