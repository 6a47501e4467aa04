#!/usr/bin/env node
/** A selftest in one file: a page goes private and comes back, and says the same thing to host and guest. */

import { selftest } from 'guest-memfd/selftest';

const GPA = 0x1_0000_0000n;

await selftest([
  {
    name: 'convert_and_back',
    about: 'What the host wrote survives two conversions, and the host is shut out in between.',
    requires: { dialect: ['rfc-convert', 'attributes2'], vmType: 'sw-protected', guest: true },
    async run(t) {
      const vm = await t.vm();
      const gmem = await t.gmem(vm, { size: 0x4000, mmap: true, initially: 'shared' });
      const map = await t.map(gmem);
      await vm.setMemoryRegion({ slot: 0, guestPhysAddr: GPA, size: 0x4000, gmem, userspaceAddr: map });
      await map.write(0x1000, Uint8Array.of(42));

      await gmem.convert({ offset: 0x1000, size: 0x1000, to: 'private' });
      t.fails(await map.tryRead(0x1000, 1), 'EFAULT', 'the host reads a private page');
      t.equal((await t.guest(vm).read(GPA + 0x1000n, 1)).bytes?.[0], 42, 'what the guest finds');

      await gmem.convert({ offset: 0x1000, size: 0x1000, to: 'shared' });
      t.equal((await map.read(0x1000, 1))[0], 42, 'what the host finds afterwards');
    },
  },
]);
