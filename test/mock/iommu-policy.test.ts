/** How each design of the IOMMU has a guest_memfd: what can be mapped, and what a conversion or a hole does to it. */

import { describe, expect, test } from 'vitest';
import { type IommuPolicy, iommuPolicies, type PlatformName, platformNames } from '../../lib/mock/index.ts';
import { IOVA, iommuMachine, outcome, PAGE } from './iommu-machine.ts';

const FILE_POLICIES = ['trust-vmm', 'notifier', 'revoke-area'] as const satisfies readonly IommuPolicy[];
const EVERYWHERE = FILE_POLICIES.flatMap((policy) => platformNames.map((platform) => ({ policy, platform })));

describe.each(iommuPolicies)('IOMMU_IOAS_MAP_FILE of a guest_memfd under %s', (policy) => {
  test('takes the side that the IOAS is for, and no other', async () => {
    await using it = await iommuMachine({ policy });
    await it.convert(4, 4, 'private');
    const answers = async (ioas: Awaited<ReturnType<typeof it.ioas>>) => [
      outcome(await it.mapFile(ioas, 0, 4)),
      outcome(await it.mapFile(ioas, 4, 4)),
      outcome(await ioas.tryMapFile({ file: it.gmem, start: 2 * PAGE, length: 4 * PAGE, iova: it.at(16) })),
      outcome(await ioas.tryMapFile({ file: it.gmem, start: 0, length: 9 * PAGE, iova: it.at(32) })),
    ];
    const isPin = policy === 'pin';
    expect(await answers(await it.ioas())).toEqual(
      isPin ? ['EINVAL', 'EINVAL', 'EINVAL', 'EINVAL'] : ['ok', 'EACCES', 'EACCES', 'EINVAL'],
    );
    if (isPin) return;
    const trusted = await it.withDevice(await it.privateSide());
    expect(await answers(trusted)).toEqual(['EACCES', 'ok', 'EACCES', 'EINVAL']);
    expect(outcome(await it.mapAddress(trusted, 0, 1))).toBe('EACCES');
  });

  test('without a device anything can be mapped, and the device is refused', async () => {
    await using it = await iommuMachine({ policy });
    await it.convert(4, 4, 'private');
    const ioas = await it.iommufd.allocIoas();
    expect(outcome(await it.mapFile(ioas, 3, 2))).toBe('ok');
    const refused = policy === 'pin' ? 'EINVAL' : 'EACCES';
    expect(outcome(await it.iommufd.test.tryMockDevice(ioas))).toBe(refused);
    await it.convert(4, 4, 'shared');
    expect(outcome(await it.iommufd.test.tryMockDevice(ioas))).toBe(policy === 'pin' ? 'EINVAL' : 'ok');
  });

  test('pages are pinned and counted by address only', async () => {
    await using it = await iommuMachine({ policy });
    const ioas = await it.ioas();
    await it.mapFile(ioas, 0, 4);
    expect(it.mock.dmaPinned).toEqual({ now: 0, peak: 0 });
    await it.mapAddress(ioas, 4, 2);
    expect(it.mock.dmaPinned).toEqual({ now: 2, peak: 2 });
    expect(outcome(await it.convert(4, 2, 'private'))).toBe('EAGAIN');
    await ioas.unmapAll();
    expect(it.mock.dmaPinned).toEqual({ now: 0, peak: 2 });
    expect(outcome(await it.convert(4, 2, 'private'))).toBe('ok');
  });
});

interface Place {
  readonly policy: (typeof FILE_POLICIES)[number];
  readonly platform: PlatformName;
}

/** What is told of a translation whose pages change hands. */
function toldOf({ policy, platform }: Place, start: number, end: number): unknown[] {
  if (policy === 'trust-vmm') return ['iommu-stale', start, end];
  if (policy === 'revoke-area') return ['iommu-unmap', 0, 8];
  return [platform === 'sev-snp' ? 'iommu-keep' : 'iommu-unmap', start, end];
}

describe.each(EVERYWHERE)('under $policy on $platform', (place) => {
  const { policy, platform } = place;

  test('a conversion to private: what is told, before the state changes, and what a device has afterwards', async () => {
    await using it = await iommuMachine(place);
    const ioas = await it.ioas();
    await it.mapping.fill(0, 8 * PAGE, 0x5a);
    await it.mapFile(ioas, 0, 8);
    it.mock.journal.clear();
    expect(outcome(await it.convert(2, 3, 'private'))).toBe('ok');
    expect(it.steps('iommu-unmap', 'iommu-keep', 'iommu-stale', 'set-shareability')).toEqual([
      toldOf(place, 2, 5),
      ['set-shareability', 2, 5],
    ]);
    const others = policy === 'revoke-area' ? 0 : 0x5a;
    expect([...it.engine(ioas).read(it.at(1), 1), ...it.engine(ioas).read(it.at(5), 1)]).toEqual([others, others]);
  });

  test('what is left of the area can be unmapped; what is gone can be mapped where the policy leaves room', async () => {
    await using it = await iommuMachine(place);
    const ioas = await it.ioas();
    await it.mapFile(ioas, 0, 8);
    await it.convert(2, 3, 'private');
    await it.convert(2, 3, 'shared');
    const cut = policy === 'notifier' && platform !== 'sev-snp';
    expect(outcome(await it.mapFile(ioas, 2, 3))).toBe(cut ? 'ok' : 'EEXIST');
    expect(await ioas.unmapAll()).toBe(BigInt(8 * PAGE));
    expect(outcome(await it.mapFile(ioas, 0, 8))).toBe('ok');
  });

  test('a hole is never left to the hardware', async () => {
    await using it = await iommuMachine(place);
    const ioas = await it.ioas();
    await it.mapFile(ioas, 0, 8);
    await it.mapping.fill(0, 8 * PAGE, 0x5a);
    it.mock.journal.clear();
    await it.gmem.punchHole({ offset: 2 * PAGE, size: 3 * PAGE });
    const told = it.steps('iommu-unmap', 'iommu-keep', 'iommu-stale');
    expect(told).toEqual([toldOf({ policy, platform: 'software-protected' }, 2, 5)]);
    await it.mapping.fill(2 * PAGE, PAGE, 0x77);
    it.mock.journal.clear();
    const [seen] = it.engine(ioas).read(it.at(2), 1);
    expect(seen).toBe(policy === 'trust-vmm' ? 0x5a : 0);
    expect(it.steps('hazard')).toEqual(policy === 'trust-vmm' ? [['hazard', 2, 3]] : []);
  });

  test('a device that the guest trusts has what the guest has, and loses it when it is shared', async () => {
    await using it = await iommuMachine(place);
    const trusted = await it.withDevice(await it.privateSide());
    await it.convert(0, 8, 'private');
    it.touch(3, 0x33, 'private');
    await it.mapFile(trusted, 0, 8);
    expect(it.engine(trusted).read(it.at(3), 1)[0]).toBe(0x33);
    it.mock.journal.clear();
    await it.convert(3, 1, 'shared');
    expect(it.steps('iommu-unmap', 'iommu-keep', 'iommu-stale', 'set-shareability')).toEqual([
      toldOf(place, 3, 4),
      ['set-shareability', 3, 4],
    ]);
    await it.mapping.write(3 * PAGE, Uint8Array.of(0x44));
    const reaches = policy === 'trust-vmm' && platform === 'software-protected';
    expect(it.engine(trusted).read(it.at(3), 1)[0]).toBe(reaches ? 0x44 : 0);
    expect(it.mock.machineCheck).toBeUndefined();
  });
});

describe('host.mock.makePrivateSide', () => {
  test('refuses what is no empty IOAS of an iommufd, and the policy that maps no private memory', async () => {
    await using it = await iommuMachine({ policy: 'notifier' });
    const ioas = await it.ioas();
    await it.mapFile(ioas, 0, 1);
    const { mock, iommufd, vm } = it;
    expect(() => mock.makePrivateSide(vm.fd, ioas.id)).toThrow(TypeError);
    expect(() => mock.makePrivateSide(iommufd.fd, 99)).toThrow('the id of an IOAS');
    expect(() => mock.makePrivateSide(iommufd.fd, ioas.id)).toThrow('maps nothing yet');
    await using pinning = await iommuMachine({ policy: 'pin' });
    const empty = await pinning.ioas();
    expect(() => pinning.mock.makePrivateSide(pinning.iommufd.fd, empty.id)).toThrow("'pin' maps no private memory");
  });

  test('a copy does not carry memory to the other side', async () => {
    await using it = await iommuMachine({ policy: 'notifier' });
    const [shared, trusted] = [await it.ioas(), await it.withDevice(await it.privateSide())];
    await it.convert(0, 4, 'private');
    await it.mapFile(trusted, 0, 4);
    await it.mapFile(shared, 4, 4);
    const copy = (to: typeof shared, from: typeof shared, page: number) =>
      to.tryCopy({ from, sourceIova: it.at(page), length: PAGE, iova: it.at(20 + page) });
    expect([outcome(await copy(shared, trusted, 0)), outcome(await copy(trusted, shared, 4))]).toEqual([
      'EACCES',
      'EACCES',
    ]);
    expect([outcome(await copy(shared, shared, 4)), outcome(await copy(trusted, trusted, 0))]).toEqual(['ok', 'ok']);
  });
});

describe('host.mock.dma', () => {
  test('reads and writes over borders of pages and areas, and says of each page what became of it', async () => {
    await using it = await iommuMachine({ policy: 'notifier' });
    const ioas = await it.ioas();
    await it.mapFile(ioas, 0, 1);
    await it.mapFile(ioas, 1, 1);
    const engine = it.engine(ioas);
    engine.write(IOVA + 0xffen, Uint8Array.of(1, 2, 3, 4));
    expect([...(await it.mapping.read(0xffe, 4))]).toEqual([1, 2, 3, 4]);
    it.mock.journal.clear();
    expect([...engine.read(IOVA + 0x1ffen, 4)]).toEqual([0, 0, 0, 0]);
    expect(it.mock.journal.entries.map(({ step, detail }) => [step, detail])).toEqual([
      ['dma', 'read'],
      ['dma-fault', 'read: nothing is mapped'],
    ]);
  });

  test('keeps to what the mapping allows', async () => {
    await using it = await iommuMachine({ policy: 'notifier' });
    const ioas = await it.ioas();
    await it.mapping.fill(0, PAGE, 0x5a);
    await ioas.mapFile({ file: it.gmem, start: 0, length: PAGE, iova: IOVA, writeable: false });
    const engine = it.engine(ioas);
    engine.write(IOVA, Uint8Array.of(9));
    expect(engine.read(IOVA, 1)[0]).toBe(0x5a);
    expect(it.mock.journal.entries.filter(({ step }) => step === 'dma-fault').map(({ detail }) => detail)).toEqual([
      'write: not allowed',
    ]);
  });

  test('reaches nothing through an IOAS without a device, and refuses what is no IOAS', async () => {
    await using it = await iommuMachine({ policy: 'notifier' });
    const ioas = await it.iommufd.allocIoas();
    await it.mapFile(ioas, 0, 1);
    await it.mapping.fill(0, PAGE, 0x5a);
    expect(it.engine(ioas).read(IOVA, 1)[0]).toBe(0);
    expect(() => it.mock.dma(it.vm.fd, ioas.id)).toThrow(TypeError);
    expect(() => it.mock.dma(it.iommufd.fd, 99)).toThrow('the id of an IOAS');
  });
});
