import { describe, expect, test } from 'vitest';
import { PAGE, ramOn } from './support.ts';

const SMALL = 0x2000_0000n;

for (const kernel of ['linux-7.3', 'rfc-v2', 'inplace-v13'] as const) {
  describe(`GuestRam and iommufd on ${kernel}`, () => {
    const setUp = async (initially: 'shared' | 'private') => {
      // Within what the test driver's page tables reach.
      const it = await ramOn(kernel, { initially, regions: [{ slot: 0, guestPhysAddr: SMALL }] });
      const iommufd = await it.host.iommufd();
      const ioas = await iommufd.allocIoas();
      await iommufd.test.mockDevice(ioas);
      return { ...it, iommufd, ioas, [Symbol.asyncDispose]: () => it.host.close() };
    };

    test('a page that is mapped for a device can be converted and comes back to the device', async () => {
      await using it = await setUp('shared');
      await it.ram.attach(it.ioas);
      await it.ram.convert({ offset: 4 * PAGE, size: 2 * PAGE, to: 'private' });
      expect(await it.ioas.isMapped({ iova: SMALL + BigInt(4 * PAGE), length: PAGE })).toBe(false);
      expect(await it.ioas.isMapped({ iova: SMALL + BigInt(6 * PAGE), length: 10 * PAGE })).toBe(true);
      expect(await it.ram.check({ pages: 'all' })).toEqual([]);
      await it.ram.convert({ offset: 4 * PAGE, size: PAGE, to: 'shared' });
      expect(await it.ram.check({ pages: 'all' })).toEqual([]);
      await it.ram.detach(it.ioas);
      expect(await it.ioas.isMapped({ iova: SMALL, length: PAGE })).toBe(false);
    });

    test('somebody else’s pin refuses the conversion, and the device has everything back', async () => {
      await using it = await setUp('shared');
      await it.ram.attach(it.ioas);
      const other = await it.iommufd.allocIoas();
      await it.iommufd.test.mockDevice(other);
      await other.map({ address: it.ram.mapping, offset: 7 * PAGE, length: PAGE, iova: SMALL });
      const result = await it.ram.tryConvert({ offset: 0, size: 16 * PAGE, to: 'private' });
      // Where attributes of the VM decide, nobody looks at references.
      if (kernel !== 'linux-7.3')
        expect(result).toMatchObject({ ok: false, code: 'EAGAIN', errorOffset: BigInt(7 * PAGE) });
      expect(await it.ram.check({ pages: 'all' })).toEqual([]);
    });

    test('a check sees what was unmapped behind its back', async () => {
      await using it = await setUp('shared');
      await it.ram.attach(it.ioas);
      await it.ioas.unmapAll();
      expect(await it.ram.check()).toMatchObject([{ who: 'space' }, { who: 'space' }]);
    });
  });
}
