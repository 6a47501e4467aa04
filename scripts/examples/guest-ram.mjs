#!/usr/bin/env node
/** Memory that a guest, the host and a device share, page by page: a conversion that devices do not notice, and one that is refused. */

import { subscribe } from 'node:diagnostics_channel';
import { GuestRam, openHost } from 'guest-memfd';

const GPA = 0x2000_0000n;
const hex = (value) => `0x${value.toString(16)}`;

const host = await openHost({ backend: 'mock', kernel: 'rfc-v2' });
const vm = await host.createVm({ type: 'sw-protected' });
const ram = await GuestRam.create(vm, {
  size: 0x10000,
  regions: [{ slot: 0, guestPhysAddr: GPA }],
  initially: 'shared',
});

const iommufd = await host.iommufd();
const ioas = await iommufd.allocIoas();
await iommufd.test.mockDevice(ioas);
await ram.attach(ioas);

subscribe('guest-memfd:ram', ({ step, offset, size, error }) => {
  console.log(`  ${step} ${hex(offset)}+${hex(size)}${error ? `: ${error.code}` : ''}`);
});

console.log('two pages become private:');
await ram.convert({ offset: 0x4000, size: 0x2000, to: 'private' });
console.log('  differences between what is and what should be:', await ram.check({ pages: 'all' }));

console.log('somebody else holds a page:');
const pin = host.mock.pin(ram.gmem.fd, 0x8000, 0x1000);
const refused = await ram.tryConvert({ offset: 0x7000, size: 0x3000, to: 'private' });
console.log(`  ${refused.code}, held at ${hex(refused.errorOffset)}`);
pin.release();
await host.close();
