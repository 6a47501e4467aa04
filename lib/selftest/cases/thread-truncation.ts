/** What becomes of memory that a device has when its file is truncated, in each design of the IOMMU. */

import type { IommuPolicy } from '../../mock/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { LentMemory, lends, policyVariants } from '../lent-memory.ts';

const truncation = defineCase<IommuPolicy>({
  name: 'thread-truncation-of-mapped-memory',
  about:
    'A hole is punched into memory that a device has. Without a callback the device goes on with the page that the ' +
    'file no longer has, while host and guest get another; with one it is unmapped, on every platform.',
  // Any kernel whose files can be mapped and start shared: nothing is converted.
  requires: (policy) => ({
    ...lends()(policy),
    dialect: ['none', 'vm-attributes', 'rfc-convert', 'attributes2'],
    vmType: 'default',
  }),
  variants: policyVariants,
  async run(t, policy) {
    const lent = await LentMemory.create(t, policy, { pages: 4, type: 'default' });
    const { memory } = lent;
    const device = await lent.device();
    for (let page = 0; page < 4; page += 1) await memory.isShared(page, 0, 0x10 + page, 0x20 + page);
    await device.map(0, 4);
    for (let page = 0; page < 4; page += 1) await device.finds(page, 0x20 + page);
    t.ok(await device.hasPagesOfHost(0, 4), 'the device has the pages that the host has');
    await memory.punch(1, 2);
    if (policy === 'pin' || policy === 'trust-vmm') {
      for (const page of [1, 2]) await memory.isShared(page, 0, 0x50 + page, 0x60 + page);
      await device.findsOnAll(1, [0x21, 0x22]);
      await device.storesOnAll(1, [0x71, 0x72]);
      await device.findsOnAll(0, [0x20, 0x71, 0x72, 0x23]);
      for (const page of [1, 2]) {
        await memory.isShared(page, 0x60 + page, 0x50 + page, 0x60 + page);
        t.equal(await device.hasPagesOfHost(page), false, `the device has page ${page} of the host`);
      }
      await device.unmap(0, 4);
      await device.map(0, 4);
    } else {
      const revoked = policy === 'revoke-area';
      for (const page of [1, 2]) await device.isRefused(page, revoked ? 'EFAULT' : 'ENOENT');
      if (revoked) {
        await device.isRefused(0, 'EFAULT');
        await device.unmap(0, 4);
        await device.map(0, 4);
      } else {
        for (const page of [0, 3]) await device.finds(page, 0x20 + page);
        await device.map(1, 2);
      }
      for (const page of [1, 2]) await memory.isShared(page, 0, 0x50 + page, 0x60 + page);
    }
    for (const page of [1, 2]) await device.finds(page, 0x60 + page);
    for (const page of [0, 3]) await device.finds(page, 0x20 + page);
    t.ok(await device.hasPagesOfHost(0, 4), 'mapped anew the device has the pages that the host has');
  },
});

export const cases: readonly AnyCase[] = [truncation];
