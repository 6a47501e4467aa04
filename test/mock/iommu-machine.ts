/** A mocked host with a guest's memory and an IOAS with a device: what the tests of the IOMMU start from. */

import type { Ioas, MockDevice } from '../../lib/iommu/index.ts';
import { launch, openHost } from '../../lib/kvm/index.ts';
import type { IommuPolicy, JournalEntry, PlatformName, ProfileName, Step } from '../../lib/mock/index.ts';

export const PAGE = 0x1000;
/** Within what the test driver's page tables reach. */
export const IOVA = 0x4000_0000n;

const VM_TYPES = { 'software-protected': 'sw-protected', 'sev-snp': 'snp', tdx: 'tdx' } as const;

interface Options {
  readonly policy: IommuPolicy;
  readonly platform?: PlatformName;
  readonly kernel?: ProfileName;
  readonly pages?: number;
}

export async function iommuMachine({ policy, platform = 'software-protected', kernel = 'rfc-v2', pages = 8 }: Options) {
  const host = await openHost({ backend: 'mock', kernel, platform, iommu: policy });
  const vm = await host.createVm({ type: VM_TYPES[platform] });
  if (platform !== 'software-protected') await launch(vm);
  const gmem = await vm.createGuestMemfd({ size: pages * PAGE, mmap: true, initially: 'shared' });
  const mapping = await gmem.map();
  const region = { slot: 0, guestPhysAddr: IOVA, size: pages * PAGE, gmem, userspaceAddr: mapping };
  await vm.setMemoryRegion(region);
  const iommufd = await host.iommufd();
  const mock = host.mock!;

  const devices: MockDevice[] = [];
  const withDevice = async (ioas: Ioas): Promise<Ioas> => {
    devices.push(await iommufd.test.mockDevice(ioas));
    return ioas;
  };
  const privateSide = async (): Promise<Ioas> => {
    const ioas = await iommufd.allocIoas();
    mock.makePrivateSide(iommufd.fd, ioas.id);
    return ioas;
  };
  const at = (page: number): bigint => IOVA + BigInt(page * PAGE);
  return {
    host,
    vm,
    gmem,
    mapping,
    iommufd,
    mock,
    devices,
    withDevice,
    privateSide,
    at,
    ioas: async () => withDevice(await iommufd.allocIoas()),
    mapFile: (ioas: Ioas, first: number, count: number) =>
      ioas.tryMapFile({ file: gmem, start: first * PAGE, length: count * PAGE, iova: at(first) }),
    mapAddress: (ioas: Ioas, first: number, count: number) =>
      ioas.tryMap({ address: mapping, offset: first * PAGE, length: count * PAGE, iova: at(first) }),
    convert: (first: number, count: number, to: 'shared' | 'private') =>
      gmem.tryConvert({ offset: first * PAGE, size: count * PAGE, to }),
    /** The guest uses a page as what it is, and has it then. */
    touch: (page: number, byte: number, access: 'shared' | 'private') => {
      const options = platform === 'software-protected' ? {} : { access };
      const wrote = mock.guest(vm.fd).write(at(page), Uint8Array.of(byte), options);
      if (!wrote.ok) throw new Error(`the guest cannot use page ${page}`);
    },
    engine: (ioas: Ioas) => mock.dma(iommufd.fd, ioas.id),
    /** The journal's steps of these names, with ranges in pages from the start of the memory. */
    steps: (...names: Step[]): [Step, number, number][] => {
      const from = (entry: JournalEntry): number => (entry.target.includes('ioas') ? Number(IOVA) / PAGE : 0);
      return mock.journal.entries
        .filter(({ step }) => names.includes(step))
        .map((entry) => [entry.step, entry.start - from(entry), entry.end - from(entry)]);
    },
    [Symbol.asyncDispose]: () => host.close(),
  };
}

/** 'ok', or the errno's name. */
export const outcome = (result: { readonly ok: true } | { readonly ok: false; readonly code: string }): string =>
  result.ok ? 'ok' : result.code;
