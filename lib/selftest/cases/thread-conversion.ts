/** What becomes of memory that a device has when the guest converts it, in each design of the IOMMU. */

import type { IommuPolicy } from '../../mock/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { LentMemory, lends, policyVariants } from '../lent-memory.ts';

/** What an IOMMU does about pages that it has and that become private. */
type Fate = 'refuses' | 'stale' | 'keeps' | 'unmaps' | 'revokes';

/** AMD's hardware checks every access by itself, so there nothing need be unmapped; the others' does not. */
export function fateOf({ host: { mock } }: T, policy: IommuPolicy): Fate {
  if (policy === 'pin') return 'refuses';
  if (policy === 'trust-vmm') return 'stale';
  if (policy === 'revoke-area') return 'revokes';
  return mock?.platform === 'sev-snp' ? 'keeps' : 'unmaps';
}

const STEPS = { stale: 'iommu-stale', keeps: 'iommu-keep', unmaps: 'iommu-unmap', revokes: 'iommu-unmap' } as const;

const refusal = defineCase<IommuPolicy>({
  name: 'thread-conversion-of-mapped-memory',
  about:
    'Shared memory that a device has becomes private: where its pages are pinned that is refused with EAGAIN at the ' +
    'first of them until it is unmapped; a design without references converts, and the IOMMU is told or is not.',
  requires: lends(),
  variants: policyVariants,
  async run(t, policy) {
    const lent = await LentMemory.create(t, policy, { pages: 5 });
    const { memory } = lent;
    const device = await lent.device();
    for (let page = 0; page < 5; page += 1) await memory.isShared(page, 0, 0x10 + page, 0x20 + page);
    await device.map(2, 2);
    await device.finds(2, 0x22);
    await device.finds(3, 0x23);
    await device.isRefused(1);
    const fate = fateOf(t, policy);
    t.host.mock?.journal.clear();
    if (fate === 'refuses') {
      await memory.convertIsBlocked(2);
      await memory.convertIsBlocked(3, 3, 2);
      for (let page = 0; page < 5; page += 1) await memory.isShared(page, 0x20 + page, 0x30 + page, 0x20 + page);
      await device.finds(2, 0x22);
      await memory.turnsPrivate(1, 0x21, 0x41);
      await device.unmap(2, 2);
      await memory.convert('private');
    } else {
      await memory.convert('private');
      const told = t.host.mock!.journal.entries.filter(({ step }) => step.startsWith('iommu-'));
      t.equal(
        told.map(({ step, reason }) => [step, reason]),
        [[STEPS[fate], 'convert-to-private']],
        'what the IOMMU is told and does',
      );
      if (fate === 'stale' || fate === 'keeps') await device.unmap(2, 2);
      if (fate === 'revokes') {
        await device.isRefused(2, 'EFAULT');
        await device.unmap(2, 2);
      }
    }
    for (let page = 0; page < 5; page += 1) {
      await memory.isPrivate(page, page === 1 && fate === 'refuses' ? 0x41 : 0x20 + page, 0x50 + page);
      await device.isRefused(page);
    }
    await device.mapIsRefused(2, 2);
  },
});

const thenMapped = defineCase<IommuPolicy>({
  name: 'thread-shared-then-mapped',
  about:
    'Private memory cannot be mapped for a device; once it is shared it can, and guest and device find what the other wrote.',
  requires: lends(),
  variants: policyVariants,
  async run(t, policy) {
    const lent = await LentMemory.create(t, policy, { pages: 4 });
    const { memory } = lent;
    const device = await lent.device();
    await memory.convert('private');
    for (let page = 0; page < 4; page += 1) await memory.guestUses(page, 'any', 0x40 + page);
    await device.mapIsRefused(0, 4);
    await memory.convert('shared', 1, 2);
    await device.mapIsRefused(0, 4);
    await device.isRefused(1);
    for (const page of [1, 2]) await memory.guestUses(page, 0x40 + page, 0x60 + page);
    await device.map(1, 2);
    for (const page of [1, 2]) {
      await device.finds(page, 0x60 + page);
      await device.stores(page, 0x70 + page);
      await memory.guestUses(page, 0x70 + page, 0x80 + page);
      await memory.hostUses(page, 0x80 + page, 0x90 + page);
      await device.finds(page, 0x90 + page);
    }
    t.ok(await device.hasPagesOfHost(1, 2), 'the device has the pages that the host has');
    for (const page of [0, 3]) {
      await device.isRefused(page);
      await memory.isPrivate(page, 0x40 + page, 0x40 + page);
    }
  },
});

export const cases: readonly AnyCase[] = [refusal, thenMapped];
