/** The same few lines on this machine's kernel and on a mock of a patched one. */

import { openHost } from 'guest-memfd';

for (const options of [{}, { backend: 'mock', kernel: 'rfc-v2' }]) {
  const host = await openHost(options);
  console.log(`${host.backend}, ${host.features.release}, dialect ${host.features.dialect}: ${host.reason}`);
  const vm = await host.createVm();
  const gmem = await vm.createGuestMemfd({ size: 0x4000, mmap: true, initially: 'shared' });
  const map = await gmem.map();
  await map.write(0x1ffe, Buffer.from('hello'));
  await gmem.punchHole({ offset: 0x2000, size: 0x1000 });
  console.log('  after the hole:', await map.read(0x1ffe, 5));
  await gmem.convert({ offset: 0, size: 0x1000, to: 'private' }).catch((error) => console.log(`  ${error.message}`));
  const first = await map.tryRead(0, 1);
  console.log('  the first page:', first.ok ? first.value : first.error.message);
  await host.close();
}
