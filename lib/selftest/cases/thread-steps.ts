/** The design of June 2025 step by step, and what comes of a device where nobody tells its IOMMU. */

import { PAGE_SIZE } from '../../abi/index.ts';
import type { Result } from '../../host/index.ts';
import type { IommuPolicy, JournalEntry } from '../../mock/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { LentMemory, lends, policyVariants } from '../lent-memory.ts';

const STEPS: readonly string[] = [
  'invalidate-begin',
  'iommu-unmap',
  'iommu-keep',
  'iommu-map',
  'set-shareability',
  'invalidate-end',
];

/** What a case is about of the journal, without ranges: who unmaps KVM's and the host's entries has cases of its own. */
const told = ({ host: { mock } }: T): JournalEntry[] =>
  mock!.journal.entries.filter(({ step }) => STEPS.includes(step));
const names = (entries: readonly JournalEntry[]): string[] => entries.map(({ step }) => step);

const flows = defineCase({
  name: 'thread-notifier-step-by-step',
  about:
    'Begin, the IOMMU told with the reason while the old state is in force, the new state, end; mapping the pages on ' +
    'their other side is left to user space. The device of AMD keeps its translation, that of Intel loses exactly the part.',
  requires: { ...lends()('notifier'), journal: true },
  async run(t) {
    const keeps = t.mock.platform === 'sev-snp';
    const fate = keeps ? 'iommu-keep' : 'iommu-unmap';
    const lent = await LentMemory.create(t, 'notifier', { pages: 6 });
    const { memory } = lent;
    const device = await lent.device();
    for (let page = 0; page < 6; page += 1) await memory.isShared(page, 0, 1, 2);
    await device.map(0, 6);
    t.mock.journal.clear();
    await memory.convert('private', 2, 2);
    const toPrivate = told(t);
    t.equal(names(toPrivate), ['invalidate-begin', fate, 'set-shareability', 'invalidate-end'], 'to private');
    const [, unmapped] = toPrivate;
    const first = Number(device.iova(2)) / PAGE_SIZE;
    t.equal([unmapped?.start, unmapped?.end], [first, first + 2], 'I/O pages that the IOMMU is told of');
    t.equal([...new Set(toPrivate.flatMap(({ reason }) => reason ?? []))], ['convert-to-private'], 'the reason');
    for (const page of [0, 1, 4, 5]) await device.finds(page, 2);
    if (!keeps) for (const page of [2, 3]) await device.isRefused(page);
    t.mock.journal.clear();
    await memory.convert('shared', 2, 2);
    t.equal(names(told(t)), ['invalidate-begin', 'set-shareability', 'invalidate-end'], 'to shared');
    for (const page of [2, 3]) await memory.hostUses(page, 'any', 0x30 + page);
    if (!keeps) {
      for (const page of [2, 3]) await device.isRefused(page);
      await device.map(2, 2);
      t.equal(names(told(t)).at(-1), 'iommu-map', 'user space maps what is shared now');
    }
    for (const page of [2, 3]) await device.finds(page, 0x30 + page);
  },
});

const heldOff = defineCase<IommuPolicy>({
  name: 'thread-map-during-conversion',
  about:
    'A map that comes between begin and end of a conversion of the same pages waits for its end, and then finds them ' +
    'private: no translation to a page that changes hands is made.',
  requires: (policy) => ({ ...lends()(policy), journal: true }),
  variants: policyVariants,
  async run(t, policy) {
    const lent = await LentMemory.create(t, policy, { pages: 4 });
    const { memory } = lent;
    const device = await lent.device();
    let racing: Promise<Result<unknown>> | undefined;
    const stop = t.mock.journal.listen(({ step }) => {
      if (step === 'invalidate-begin') racing ??= device.tryMap(1, 2);
    });
    t.defer(stop);
    await memory.convert('private');
    t.ok(racing, 'a map was begun during the conversion');
    t.fails(await racing!, policy === 'pin' ? 'EFAULT' : 'EACCES', 'the map that came during the conversion');
    const steps = t.mock.journal.entries.map(({ step }) => step);
    t.ok(steps.includes('iommu-held-off'), 'the map was held off');
    t.ok(steps.includes('set-shareability'), 'the conversion was done');
    t.equal(steps.includes('iommu-map'), false, 'a translation was made');
    await device.isRefused(1);
    stop();
    await memory.convert('shared');
    await device.map(1, 2);
    for (const page of [1, 2]) {
      await memory.hostUses(page, 'any', 0x60 + page);
      await device.finds(page, 0x60 + page);
    }
  },
});

const hazard = defineCase<IommuPolicy>({
  name: 'thread-device-reaches-private-memory',
  about:
    'A device goes on with an address that it was given for shared memory. Where nobody told its IOMMU it reaches what ' +
    'is private now, which is on record as a hazard: contained on SNP, the host’s end on TDX.',
  requires: (policy) => ({ ...lends()(policy), mock: true }),
  variants: policyVariants,
  async run(t, policy) {
    const { mock } = t;
    const lent = await LentMemory.create(t, policy, { pages: 2 });
    const { memory } = lent;
    const device = await lent.device();
    for (const page of [0, 1]) await memory.isShared(page, 0, 1, 2);
    await device.map(0, 2);
    if (policy === 'pin') {
      await memory.convertIsBlocked(1, 1, 1);
      await device.unmap(0, 2);
    }
    await memory.convert('private', 1, 1);
    await memory.guestUses(1, 'any', 0x77);
    mock.journal.clear();
    const engine = mock.dma(lent.iommufd.fd, device.ioas.id);
    const [seen] = engine.read(device.iova(1), 1);
    const hazards = mock.journal.entries.filter(({ step }) => step === 'hazard');
    const isReached = policy === 'trust-vmm' || (policy === 'notifier' && mock.platform === 'sev-snp');
    t.equal(hazards.length, isReached ? 1 : 0, 'hazards on record');
    t.equal(mock.machineCheck !== undefined, isReached && mock.platform === 'tdx', 'the host has died of it');
    if (isReached && mock.platform === 'sev-snp') t.notEqual(seen, 0x77, 'what the device reads, which is ciphertext');
    else if (isReached && mock.platform === 'software-protected')
      t.equal(seen, 0x77, 'the secret that the device reads');
    else t.equal(seen, 0, 'what the device reads');
    if (mock.machineCheck === undefined) await memory.isPrivate(1, 0x77, 0x78);
    else
      await t.throws(() => memory.mapping.tryRead(0, 1), 'ERR_MOCK_HOST_CRASHED', 'reading shared memory after that');
  },
});

export const cases: readonly AnyCase[] = [flows, heldOff, hazard];
