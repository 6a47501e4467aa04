/**
 * A device that the guest has accepted has an address space of its own for what the guest has for itself: which memory
 * may be mapped where, and what becomes of it when the memory changes hands, in each design that maps private memory.
 */

import { PAGE_SIZE } from '../../abi/index.ts';
import type { IommuPolicy, PlatformName } from '../../mock/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { LentMemory, type LentTo, lends } from '../lent-memory.ts';
import type { Requires } from '../requires.ts';

/** `pin` maps no private memory. */
const variants: Readonly<Record<string, IommuPolicy>> = {
  'trust-vmm': 'trust-vmm',
  notifier: 'notifier',
  'revoke-area': 'revoke-area',
};
const requires = (policy: IommuPolicy): Requires => ({ ...lends()(policy), mock: true });

/** What the journal has for a translation that was there when its pages changed hands. */
function stepAt(policy: IommuPolicy, platform: PlatformName, reason: string): string {
  if (policy === 'trust-vmm') return 'iommu-stale';
  const keeps = policy === 'notifier' && platform === 'sev-snp' && reason !== 'truncate';
  return keeps ? 'iommu-keep' : 'iommu-unmap';
}

/** What IOMMUs were told, and when the state changed. */
function told(t: T): unknown[] {
  const wanted = ['iommu-unmap', 'iommu-keep', 'iommu-stale', 'set-shareability', 'truncate'];
  return t.mock.journal.entries
    .filter(({ step }) => wanted.includes(step))
    .map(({ step, reason }) => (step.startsWith('iommu') ? [step, reason] : step));
}

/** The device's own transfers: the test driver's accesses are made by the host, which has no private side. */
const engineOf = (t: T, lent: LentMemory, { ioas }: LentTo) => t.mock.dma(lent.iommufd.fd, ioas.id);

const hazards = (t: T): (string | undefined)[] =>
  t.mock.journal.entries.filter(({ step }) => step === 'hazard').map(({ detail }) => detail);

async function mapIsRefused(t: T, device: LentTo, first: number, count: number, what: string): Promise<void> {
  t.fails(await device.tryMap(first, count), 'EACCES', `mapping ${what}`);
}

const sides = defineCase<IommuPolicy>({
  name: 'thread-private-side',
  about:
    'Private pages are mapped for the device that the guest trusts, and shared ones for any other; the reverse, and a ' +
    'range of both kinds, is EACCES. The trusted device has what the guest has, and nobody else has it.',
  requires,
  variants,
  async run(t, policy) {
    const lent = await LentMemory.create(t, policy, { pages: 6 });
    const { memory } = lent;
    const [shared, trusted] = [await lent.device(), await lent.trustedDevice()];
    await mapIsRefused(t, trusted, 0, 6, 'shared pages on the private side');
    await memory.convert('private', 2, 2);
    await mapIsRefused(t, trusted, 1, 2, 'a shared and a private page on the private side');
    await mapIsRefused(t, shared, 1, 2, 'a shared and a private page on the shared side');
    await mapIsRefused(t, shared, 2, 2, 'private pages on the shared side');
    const own = { address: memory.mapping, length: PAGE_SIZE, iova: trusted.iova(0) };
    t.fails(await trusted.ioas.tryMap(own), 'EACCES', 'mapping memory of this process on the private side');
    await trusted.map(2, 2);
    await shared.map(0, 2);
    await shared.map(4, 2);
    const copy = { sourceIova: trusted.iova(2), length: PAGE_SIZE, iova: shared.iova(8) };
    t.fails(await shared.ioas.tryCopy({ ...copy, from: trusted.ioas }), 'EACCES', 'copying to the shared side');
    for (const page of [2, 3]) await memory.guestUses(page, 'any', 0x60 + page);
    t.mock.journal.clear();
    const engine = engineOf(t, lent, trusted);
    for (const page of [2, 3]) t.equal(engine.read(trusted.iova(page), 1)[0], 0x60 + page, 'what the device finds');
    engine.write(trusted.iova(2), Uint8Array.of(0x82));
    t.equal(hazards(t), [], 'hazards');
    await memory.isPrivate(2, 0x82, 0x83);
    t.equal(engineOf(t, lent, shared).read(shared.iova(2), 1)[0], 0, 'what another device finds');
    t.equal(hazards(t), [], 'hazards then');
  },
});

const toShared = defineCase<IommuPolicy>({
  name: 'thread-private-side-to-shared',
  about:
    'Private memory that a trusted device has becomes shared: it is told before the state changes, or is not, and ' +
    'reaches the page no longer where an IOMMU or the hardware sees to it; then the page is mapped on the other side.',
  requires,
  variants,
  async run(t, policy) {
    const { platform } = t.mock;
    const lent = await LentMemory.create(t, policy, { pages: 4, initially: 'private' });
    const { memory } = lent;
    const [shared, trusted] = [await lent.device(), await lent.trustedDevice()];
    for (let page = 0; page < 4; page += 1) await memory.guestUses(page, 'any', 0x50 + page);
    await trusted.map(0, 4);
    const engine = engineOf(t, lent, trusted);
    t.equal(engine.read(trusted.iova(1), 1)[0], 0x51, 'what the device finds at first');
    t.mock.journal.clear();
    await memory.convert('shared', 1, 2);
    const step = stepAt(policy, platform, 'convert-to-shared');
    t.equal(told(t), [[step, 'convert-to-shared'], 'set-shareability'], 'what the IOMMU is told, and when');
    await memory.hostUses(1, 'any', 0x71);
    t.mock.journal.clear();
    const seen = engine.read(trusted.iova(1), 1)[0];
    // Nothing but the IOMMU stands between a device and memory that only software protects.
    const reaches = policy === 'trust-vmm' && platform === 'software-protected';
    t.equal(seen, reaches ? 0x71 : 0, 'what the device finds of the shared page');
    t.equal(hazards(t), reaches ? ['device reads shared memory, taken for private'] : [], 'hazards');
    t.equal(t.mock.machineCheck, undefined, 'what the host has died of');
    const keepsRest = policy !== 'revoke-area';
    t.equal(engine.read(trusted.iova(3), 1)[0], keepsRest ? 0x53 : 0, 'what the device finds of a private page');
    await shared.map(1, 2);
    await shared.finds(1, 0x71);
  },
});

const truncated = defineCase<IommuPolicy>({
  name: 'thread-private-side-truncated',
  about:
    'A hole in private memory that a trusted device has: where guest_memfd calls back it is unmapped on every platform, ' +
    'SNP too; where it does not the device is left with a page that the guest no longer has.',
  requires,
  variants,
  async run(t, policy) {
    const { platform } = t.mock;
    const lent = await LentMemory.create(t, policy, { pages: 4, initially: 'private' });
    const { memory } = lent;
    const trusted = await lent.trustedDevice();
    for (let page = 0; page < 4; page += 1) await memory.guestUses(page, 'any', 0x50 + page);
    await trusted.map(0, 4);
    t.mock.journal.clear();
    await memory.punch(1, 2);
    const step = stepAt(policy, platform, 'truncate');
    t.equal(
      told(t).filter((entry) => entry !== 'truncate'),
      // Without a call back it shows once the page is gone.
      [[step, 'truncate']],
      'what the IOMMU is told',
    );
    t.mock.journal.clear();
    const engine = engineOf(t, lent, trusted);
    const isLeft = policy === 'trust-vmm' && platform === 'software-protected';
    t.equal(engine.read(trusted.iova(1), 1)[0], isLeft ? 0x51 : 0, 'what the device finds where the hole is');
    t.equal(hazards(t), isLeft ? ['device reads memory that was freed'] : [], 'hazards');
    if (policy !== 'revoke-area') t.equal(engine.read(trusted.iova(3), 1)[0], 0x53, 'what it finds elsewhere');
    await memory.isPrivate(1, platform === 'software-protected' ? 0 : 'any', 0x61);
    if (policy !== 'notifier') await trusted.unmap(0, 4);
    await trusted.map(1, 2);
    t.equal(engine.read(trusted.iova(1), 1)[0], 0x61, 'what it finds once it is mapped anew');
  },
});

export const cases: readonly AnyCase[] = [sides, toShared, truncated];
