/** Between the begin and the end of a change of memory nobody is given a translation of it. */

import { describe, expect, test } from 'vitest';
import * as abi from '../../lib/abi/index.ts';
import { iommuPolicies, type Step } from '../../lib/mock/index.ts';
import { iommuMachine, outcome, PAGE } from './iommu-machine.ts';

type It = Awaited<ReturnType<typeof iommuMachine>>;
type Result = { readonly ok: true } | { readonly ok: false; readonly code: string };

/** Starts something in the middle of another call, at the first step of this name; its outcome comes later. */
function during(it: It, step: Step, start: () => Promise<Result>): { readonly started: () => Promise<string> } {
  let racing: Promise<string> | undefined;
  const stop = it.mock.journal.listen((entry) => {
    if (entry.step !== step || racing) return;
    racing = start().then(outcome);
  });
  return {
    started: async () => {
      stop();
      if (!racing) throw new Error(`no step ${step}`);
      return await racing;
    },
  };
}

const mapped = (it: It): number => it.mock.journal.entries.filter(({ step }) => step === 'iommu-map').length;
const held = (it: It): number => it.mock.journal.entries.filter(({ step }) => step === 'iommu-held-off').length;

describe.each(iommuPolicies)('under %s', (policy) => {
  const refused = policy === 'pin' ? 'EFAULT' : 'EACCES';
  const map = (it: It, ioas: Awaited<ReturnType<It['ioas']>>, first: number, count: number) =>
    policy === 'pin' ? it.mapAddress(ioas, first, count) : it.mapFile(ioas, first, count);

  test.each(['invalidate-begin', 'unmap-stage2', 'set-shareability', 'invalidate-end'] as const)(
    'a map at %s waits, and then finds the pages private',
    async (step) => {
      await using it = await iommuMachine({ policy });
      const ioas = await it.ioas();
      const race = during(it, step, () => map(it, ioas, 1, 3));
      expect(outcome(await it.convert(2, 2, 'private'))).toBe('ok');
      expect(await race.started()).toBe(refused);
      expect([held(it), mapped(it)]).toEqual([1, 0]);
    },
  );

  test('a map in the middle of a conversion to shared finds what is shared then', async () => {
    await using it = await iommuMachine({ policy });
    const ioas = await it.ioas();
    await it.convert(2, 2, 'private');
    const race = during(it, 'invalidate-begin', () => map(it, ioas, 2, 2));
    await it.convert(2, 2, 'shared');
    expect(await race.started()).toBe('ok');
    expect([held(it), mapped(it)]).toEqual([1, 1]);
  });

  test('a map in the middle of a hole has the pages that come after it', async () => {
    await using it = await iommuMachine({ policy });
    const ioas = await it.ioas();
    await it.mapping.fill(0, 8 * PAGE, 0x5a);
    const race = during(it, 'truncate', () => map(it, ioas, 2, 2));
    await it.gmem.punchHole({ offset: 2 * PAGE, size: 2 * PAGE });
    expect(await race.started()).toBe('ok');
    await it.mapping.fill(2 * PAGE, PAGE, 0x77);
    expect(it.engine(ioas).read(it.at(2), 1)[0]).toBe(0x77);
  });

  test('other pages, and other files, wait for nobody', async () => {
    await using it = await iommuMachine({ policy });
    const ioas = await it.ioas();
    const other = await it.host.memory({ size: PAGE });
    const near = during(it, 'invalidate-begin', () => map(it, ioas, 4, 4));
    const elsewhere = during(it, 'invalidate-begin', () => ioas.tryMap({ address: other, iova: it.at(9) }));
    await it.convert(2, 2, 'private');
    expect([await near.started(), await elsewhere.started(), held(it)]).toEqual(['ok', 'ok', 0]);
  });

  test('a refused conversion ends the wait as well', async () => {
    await using it = await iommuMachine({ policy });
    const ioas = await it.ioas();
    using _pin = it.mock.pin(it.gmem.fd, 3 * PAGE, PAGE);
    const race = during(it, 'invalidate-begin', () => map(it, ioas, 2, 2));
    expect(outcome(await it.convert(2, 2, 'private'))).toBe('EAGAIN');
    expect([await race.started(), held(it)]).toEqual(['ok', 1]);
  });

  test('unmapping does not wait', async () => {
    await using it = await iommuMachine({ policy });
    const ioas = await it.ioas();
    await map(it, ioas, 6, 2);
    const race = during(it, 'invalidate-begin', () => ioas.tryUnmap({ iova: it.at(6), length: 2 * PAGE }));
    await it.convert(2, 2, 'private');
    expect([await race.started(), held(it)]).toEqual(['ok', 0]);
  });

  test('a device that is attached in between waits for what is mapped already', async () => {
    await using it = await iommuMachine({ policy });
    const ioas = await it.iommufd.allocIoas();
    await map(it, ioas, 1, 3);
    const race = during(it, 'invalidate-begin', () => it.iommufd.test.tryMockDevice(ioas));
    await it.convert(2, 2, 'private');
    expect([await race.started(), held(it)]).toEqual([refused, 1]);
    await it.convert(2, 2, 'shared');
    expect(outcome(await it.iommufd.test.tryMockDevice(ioas))).toBe('ok');
  });

  test('so does a copy of a mapping', async () => {
    await using it = await iommuMachine({ policy });
    const [from, to] = [await it.iommufd.allocIoas(), await it.ioas()];
    await map(it, from, 1, 3);
    const copy = { from, sourceIova: it.at(1), length: 3 * PAGE, iova: it.at(1) };
    const race = during(it, 'invalidate-begin', () => to.tryCopy(copy));
    await it.convert(2, 2, 'private');
    expect([await race.started(), held(it)]).toEqual([refused, 1]);
  });

  test('a synchronous call cannot wait for what it interrupts: EAGAIN, and nothing is changed', async () => {
    await using it = await iommuMachine({ policy });
    const ioas = await it.ioas();
    const { request, struct } = abi.IOMMU_IOAS_MAP;
    const flags = abi.IOMMU_IOAS_MAP_FIXED_IOVA | abi.IOMMU_IOAS_MAP_READABLE;
    const user_va = it.mapping.address + BigInt(2 * PAGE);
    const bytes = struct.encode({ flags, ioas_id: ioas.id, user_va, length: PAGE, iova: it.at(2) });
    const answers: number[] = [];
    const stop = it.mock.journal.listen(({ step }) => {
      if (step === 'invalidate-begin') {
        answers.push(it.host.raw.syscalls.ioctlSync(it.iommufd.fd, request, bytes));
      }
    });
    await it.convert(2, 2, 'private');
    stop();
    expect([answers, mapped(it)]).toEqual([[-11], 0]);
  });
});
