/** The order of the steps when memory goes: the last descriptor closed, private pages of a confidential guest made shared. */

import type { VmType } from '../../kvm/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS, CONVERTS_PLAIN } from '../conversion.ts';
import { Scenario } from '../scenario.ts';

const JOURNAL = { ...CONVERTS_PLAIN, guest: true, journal: true } as const;

const release = defineCase({
  name: 'release-steps',
  about:
    'When the last descriptor and mapping are gone every guest entry of the file goes, with the reason release, and the ' +
    'memory is given back (kvm_gmem_release()).',
  requires: JOURNAL,
  async run(t) {
    const s = await Scenario.create(t, { pages: 4, type: 'sw-protected' });
    for (let page = 0; page < 4; page += 1) await s.isShared(page, 0, 1, 2);
    await s.turnsPrivate(2, 2, 3);
    const used = t.mock.pagesInUse;
    await s.gmem.close();
    t.equal(t.mock.pagesInUse, used, 'pages in use while the mapping keeps the file');
    t.mock.journal.clear();
    await s.mapping.close();
    const { entries } = t.mock.journal;
    t.equal(
      entries.map(({ step, reason }) => `${step} ${reason}`),
      ['invalidate-begin release', 'unmap-stage2 release', 'invalidate-end release'],
      'the steps',
    );
    t.equal(t.mock.pagesInUse, used - 4, 'pages in use afterwards');
  },
});

const makeShared = defineCase<VmType>({
  name: 'convert-steps-of-pages-a-confidential-guest-had',
  about:
    'On SEV-SNP a page that the guest had as private memory is made shared after its guest entry is gone and before the ' +
    'state is stored; TDX has no such step (v13, kvm_arch_gmem_make_shared()).',
  requires: (vmType) => ({ ...CONVERTS, dialect: ['attributes2'], vmType, guest: true, journal: true }),
  variants: { snp: 'snp', tdx: 'tdx' },
  async run(t, type) {
    const s = await Scenario.create(t, { pages: 3, type });
    await s.convert('private');
    await s.isPrivate(1, 'any', 1);
    t.mock.journal.clear();
    await s.convert('shared');
    t.equal(
      t.mock.journal.entries.map(({ step, start }) => (step === 'make-shared' ? `${step} ${start}` : step)),
      [
        'invalidate-begin',
        'unmap-stage2',
        ...(type === 'snp' ? ['make-shared 1'] : []),
        'set-shareability',
        'invalidate-end',
      ],
      'the steps',
    );
  },
});

export const cases: readonly AnyCase[] = [release, makeShared];
