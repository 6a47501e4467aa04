/** Whose a page is, as the hardware has it: from a guest's first access to the conversion, and what others meet on it. */

import { describe, expect, test } from 'vitest';
import { type Host, launch, openHost } from '../../../lib/kvm/index.ts';
import { Journal } from '../../../lib/mock/journal.ts';
import { Folio } from '../../../lib/mock/memory.ts';
import { createPlatform, type HostVm, reachOutside } from '../../../lib/mock/platform/index.ts';

const PAGE = 0x1000;
const HUGE = 512 * PAGE;
const GPA = 0x1_0000_0000n;

async function guestOf(host: Host, type: 'snp' | 'tdx', size: number, hugePageSize?: '2M') {
  const vm = await host.createVm({ type });
  const gmem = await vm.createGuestMemfd({
    size,
    mmap: true,
    initially: 'shared',
    ...(hugePageSize && { hugePageSize }),
  });
  await vm.setMemoryRegion({ slot: 0, guestPhysAddr: GPA, size, gmem });
  await launch(vm);
  const owner = (page: number) => host.mock!.pageOwner(gmem.fd, page * PAGE);
  return { vm, gmem, owner, guest: host.mock!.guest(vm.fd) };
}

describe.each([
  { type: 'snp', platform: 'sev-snp', dropped: '2 translations' },
  { type: 'tdx', platform: 'tdx', dropped: '1 translations' },
] as const)('$type', ({ type, platform, dropped }) => {
  test('a page is the guest’s from its first private access to the conversion', async () => {
    await using host = await openHost({ backend: 'mock', kernel: 'inplace-v13', platform });
    const { gmem, owner, guest } = await guestOf(host, type, 2 * PAGE);
    await gmem.convert({ offset: 0, size: 2 * PAGE, to: 'private' });
    expect([owner(0), host.mock!.guestPages]).toEqual([undefined, 0]);
    expect(guest.read(GPA, 1, { access: 'private' }).ok).toBe(true);
    expect([owner(0), owner(1)]).toEqual([{ size: '4K', accepted: true }, undefined]);
    await gmem.convert({ offset: 0, size: PAGE, to: 'shared' });
    expect([owner(0), host.mock!.guestPages]).toEqual([undefined, 0]);
  });

  test('where both states have tables of their own, a conversion spares what is as it should be', async () => {
    await using host = await openHost({ backend: 'mock', kernel: 'inplace-v13', platform });
    const { gmem, guest } = await guestOf(host, type, 2 * PAGE);
    await gmem.convert({ offset: 0, size: PAGE, to: 'private' });
    expect(guest.write(GPA, Uint8Array.of(1), { access: 'private' })).toEqual({ ok: true });
    expect(guest.write(GPA + BigInt(PAGE), Uint8Array.of(1), { access: 'shared' })).toEqual({ ok: true });
    host.mock!.journal.clear();
    await gmem.convert({ offset: 0, size: 2 * PAGE, to: 'shared' });
    const unmapped = host.mock!.journal.entries.filter(({ step }) => step === 'unmap-stage2');
    expect(unmapped.map(({ detail }) => detail)).toEqual([dropped]);
  });

  test('nothing is the guest’s once its file, or its VM, is gone', async () => {
    await using host = await openHost({ backend: 'mock', kernel: 'rfc-v2', platform });
    const { gmem, guest, vm } = await guestOf(host, type, 4 * PAGE);
    await gmem.convert({ offset: 0, size: 4 * PAGE, to: 'private' });
    guest.write(GPA, new Uint8Array(4 * PAGE).fill(1));
    expect(host.mock!.guestPages).toBe(4);
    await gmem.punchHole({ offset: 0, size: PAGE });
    expect(host.mock!.guestPages).toBe(3);
    await gmem.close();
    await vm.close();
    expect(host.mock!.guestPages).toBe(0);
  });
});

test('where one table has both states, a conversion drops both', async () => {
  await using host = await openHost({ backend: 'mock', kernel: 'inplace-v13', platform: 'software-protected' });
  const vm = await host.createVm({ type: 'sw-protected' });
  const gmem = await vm.createGuestMemfd({ size: 2 * PAGE, mmap: true, initially: 'shared' });
  await vm.setMemoryRegion({ slot: 0, guestPhysAddr: GPA, size: 2 * PAGE, gmem });
  await gmem.convert({ offset: 0, size: PAGE, to: 'private' });
  const guest = host.mock!.guest(vm.fd);
  expect(guest.write(GPA, new Uint8Array(2 * PAGE))).toEqual({ ok: true });
  host.mock!.journal.clear();
  await gmem.convert({ offset: 0, size: 2 * PAGE, to: 'shared' });
  const unmapped = host.mock!.journal.entries.filter(({ step }) => step === 'unmap-stage2');
  expect(unmapped.map(({ detail }) => detail)).toEqual(['2 translations']);
});

describe('pages on SEV-SNP', () => {
  test('of those that become shared, the hardware is asked for what a guest has', async () => {
    await using host = await openHost({ backend: 'mock', kernel: 'rfc-v2', platform: 'sev-snp' });
    const { gmem, guest } = await guestOf(host, 'snp', 2 * PAGE);
    const map = await gmem.map();
    await map.write(PAGE, Uint8Array.of(1));
    await gmem.convert({ offset: 0, size: 2 * PAGE, to: 'private' });
    const made = async (page: number): Promise<number> => {
      host.mock!.journal.clear();
      await gmem.convert({ offset: page * PAGE, size: PAGE, to: 'shared' });
      return host.mock!.journal.entries.filter(({ step }) => step === 'make-shared').length;
    };
    guest.write(GPA, Uint8Array.of(1));
    expect(await made(1)).toBe(0);
    expect(await made(0)).toBe(1);
    await map.close();
  });

  test('are nobody’s once they are freed, and validated by their next guest anew', () => {
    const platform = createPlatform('sev-snp') as import('../../../lib/mock/platform/snp/snp.ts').SnpPlatform;
    const folio = new Folio(7);
    const validated = (): void => {
      platform.rmp.assign(7, 0x107, 5, '4K');
      platform.validate(folio, { encrypted: true });
    };
    validated();
    platform.freed(8, 2);
    platform.freed(5, 2);
    expect(platform.owner(folio)).toEqual({ size: '4K', accepted: true });
    platform.freed(6, 3);
    expect([platform.owner(folio), platform.isValidated(folio), platform.ownedPages]).toEqual([undefined, false, 0]);
    platform.rmp.assign(7, 0x107, 6, '4K');
    expect(platform.owner(folio)).toEqual({ size: '4K', accepted: false });
  });
});

describe('huge pages on SEV-SNP', () => {
  const open = () => openHost({ backend: 'mock', kernel: 'rfc-v2', platform: 'sev-snp' });

  test('are given as one entry of the RMP, and smashed by a conversion of a part', async () => {
    await using host = await open();
    const { gmem, owner, guest } = await guestOf(host, 'snp', HUGE, '2M');
    await gmem.convert({ offset: 0, size: HUGE, to: 'private' });
    // Any of its pages may be the first that is used.
    guest.write(GPA + BigInt(7 * PAGE), Uint8Array.of(7));
    guest.write(GPA + 5n, Uint8Array.of(1));
    expect([owner(0), host.mock!.guestPages]).toEqual([{ size: '2M', accepted: true }, 512]);
    await gmem.convert({ offset: 3 * PAGE, size: PAGE, to: 'shared' });
    expect([owner(3), owner(2)?.size, host.mock!.guestPages]).toEqual([undefined, '4K', 511]);
    expect(guest.read(GPA + BigInt(7 * PAGE), 1)).toEqual({ ok: true, bytes: Uint8Array.of(7) });
    await gmem.close();
    await host.close();
  });

  test('nothing is left of an entry when the page is gone', async () => {
    await using host = await open();
    const { gmem, guest, vm } = await guestOf(host, 'snp', HUGE, '2M');
    await gmem.convert({ offset: 0, size: HUGE, to: 'private' });
    guest.write(GPA, Uint8Array.of(1));
    await gmem.convert({ offset: 3 * PAGE, size: PAGE, to: 'shared' });
    await gmem.close();
    await vm.close();
    expect([host.mock!.guestPages, host.mock!.pagesInUse]).toEqual([0, 0]);
  });
});

describe('others', () => {
  const vm = { number: 1, type: 0 } as HostVm;

  test.each(['software-protected', 'sev-snp', 'tdx'] as const)('%s: reach a page of the host’s as it is', (name) => {
    const platform = createPlatform(name);
    const folio = new Folio(7);
    folio.bytes.fill(3);
    for (const by of ['host', 'device'] as const) {
      for (const write of [false, true]) expect(platform.reach(folio, { by, write })).toEqual({ outcome: 'reached' });
    }
    expect(platform.seenOutside(folio)).toEqual(new Uint8Array(PAGE).fill(3));
    expect(platform.createGuest(vm).isLaunched).toBe(true);
  });

  test('SEV-SNP: read noise from a guest’s page, and their writes fault', async () => {
    await using host = await openHost({ backend: 'mock', kernel: 'inplace-v13', platform: 'sev-snp' });
    expect(host.features.vmTypes).toContain('snp');
    const platform = createPlatform('sev-snp') as import('../../../lib/mock/platform/snp/snp.ts').SnpPlatform;
    const journal = new Journal();
    const folio = new Folio(7);
    platform.rmp.assign(7, 0x107, 5, '4K');
    platform.validate(folio, { encrypted: true });
    folio.bytes.fill(3);
    const where = { target: 'inode 1', page: 0 };
    expect(reachOutside({ platform, journal }, folio, { by: 'device', write: false }, where).outcome).toBe(
      'ciphertext',
    );
    expect(reachOutside({ platform, journal }, folio, { by: 'host', write: true }, where)).toEqual({
      outcome: 'blocked',
      fault: 'RMP fault, the page is assigned to the guest with ASID 5',
    });
    expect(platform.seenOutside(folio)).not.toEqual(new Uint8Array(PAGE).fill(3));
    expect(journal.entries.map(({ step, detail }) => `${step}: ${detail}`)).toEqual([
      'hazard: device reads ciphertext',
      'hazard: host writes: RMP fault, the page is assigned to the guest with ASID 5',
    ]);
    expect(platform.machineCheck).toBeUndefined();
  });

  test('TDX: bring the host down', () => {
    const platform = createPlatform('tdx') as import('../../../lib/mock/platform/tdx/tdx.ts').TdxPlatform;
    const journal = new Journal();
    const folio = new Folio(7);
    platform.owners.set(7, { folio, state: 'mapped' });
    const where = { target: 'inode 1', page: 4 };
    reachOutside({ platform, journal }, folio, { by: 'device', write: true }, where);
    expect(platform.machineCheck).toBe('the device used a shared mapping of a page that a TD has');
    expect(journal.entries).toMatchObject([{ step: 'hazard', target: 'inode 1', start: 4, end: 5 }]);
  });
});
