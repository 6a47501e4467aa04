/** How iommufd takes a struct whose size its caller names, and a request it does not know. */

import type { StructIoctl } from '../../../lib/abi/ioctl.ts';
import * as abi from '../../../lib/abi/iommufd.ts';
import { IOMMU_TEST_CMD } from '../../../lib/abi/iommufd-test.ts';
import type { SizedStruct } from '../../../lib/abi/sized.ts';
import type { Scenario } from './kit.ts';

// biome-ignore lint/suspicious/noExplicitAny: any struct's fields.
type Sized = StructIoctl<any> & { struct: SizedStruct<any> };

const requests = Object.entries({ ...abi, IOMMU_TEST_CMD })
  .flatMap(([name, value]): [string, Sized][] =>
    typeof value === 'object' && 'request' in value ? [[name, value as Sized]] : [],
  )
  .sort(([, a], [, b]) => a.request - b.request);

function sizedBytes(size: number, claimed = size): Uint8Array {
  const bytes = new Uint8Array(Math.max(size, 4));
  new DataView(bytes.buffer).setUint32(0, claimed, true);
  return bytes;
}

export const sizes: Scenario[] = [
  {
    name: 'sizes',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      for (const [name, ioctl] of requests) {
        const { size, minimum } = ioctl.struct;
        for (const claimed of [0, 4, minimum - 1, minimum, size, size + 8, 4096]) {
          kit.issue(`${name} size ${claimed}`, fd, ioctl, sizedBytes(Math.max(claimed, size), claimed));
        }
        kit.issue(`${name} size 4097`, fd, ioctl, sizedBytes(4097));
        const dirty = sizedBytes(size + 8);
        dirty[size + 3] = 1;
        kit.issue(`${name} dirty tail`, fd, ioctl, dirty);
        kit.value(`${name} null`, fd, ioctl, 0);
      }
    },
  },
  {
    name: 'unknown requests',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const numbers = [0x3b96, 0x3b9f, 0x3ba1, 0x3b60, 0x3b7f, 0x3b6e, 0x3b75, 0x1280, 0x00003bff];
      for (const request of numbers) {
        const name = `0x${request.toString(16)}`;
        kit.log(`${name} null`, kit.syscalls.ioctlSync(fd, request, 0));
        if (request >> 8 === 0x3b) kit.log(`${name} struct`, kit.syscalls.ioctlSync(fd, request, sizedBytes(64)));
      }
      const encoded = 0xc008_3b80;
      kit.log('DESTROY as _IOWR', kit.syscalls.ioctlSync(fd, encoded, sizedBytes(8)));
    },
  },
];
