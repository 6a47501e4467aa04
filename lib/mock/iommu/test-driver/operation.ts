/** An operation of IOMMU_TEST_CMD, as `abi/iommufd-test.ts` declares them. */

import type { StructIoctl } from '../../../abi/ioctl.ts';

// biome-ignore lint/suspicious/noExplicitAny: each has a union member of its own.
export type Operation = StructIoctl<any> & { readonly op: number };
