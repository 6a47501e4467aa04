/** IOMMU_TEST_CMD: one request with a union, told apart by `op`. Source: drivers/iommu/iommufd/selftest.c. */

import { errno } from '../../../abi/errno.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import { IOMMU_TEST_CMD, iommuTest } from '../../../abi/iommufd-test.ts';
import {
  accessPages,
  accessReplace,
  accessRw,
  createAccess,
  destroyAccessPages,
} from '../test-driver/access-commands.ts';
import { addReserved, checkMap, checkRefs, dirty, memoryLimit } from '../test-driver/checks.ts';
import {
  checkCache,
  checkIotlb,
  mockDomain,
  mockDomainFlags,
  mockDomainReplace,
  pasidAttach,
  pasidCheck,
  pasidDetach,
  pasidReplace,
  triggerEvent,
  triggerFault,
} from '../test-driver/devices.ts';
import { dmaBufGet, dmaBufRevoke } from '../test-driver/dma-buf-commands.ts';
import type { Operation } from '../test-driver/operation.ts';
import type { IommufdContext } from './context.ts';
import { overwrite, type Reply } from './sized-dispatch.ts';

type Run = (context: IommufdContext, bytes: Uint8Array, reply: (bytes: Uint8Array) => number) => number;

const operations = new Map<number, Run>();

function on<O extends Operation>(
  { struct, op }: O,
  handle: (context: IommufdContext, args: IoctlOut<O>, reply: Reply<O>) => number,
): void {
  operations.set(op, (context, bytes, reply) =>
    handle(context, struct.decode(bytes) as IoctlOut<O>, (values) => reply(overwrite(bytes, struct, values))),
  );
}

on(iommuTest.ADD_RESERVED, addReserved);
on(iommuTest.MOCK_DOMAIN, mockDomain);
on(iommuTest.MOCK_DOMAIN_FLAGS, mockDomainFlags);
on(iommuTest.MOCK_DOMAIN_REPLACE, mockDomainReplace);
on(iommuTest.MD_CHECK_MAP, checkMap);
on(iommuTest.MD_CHECK_REFS, checkRefs);
on(iommuTest.MD_CHECK_IOTLB, checkIotlb);
on(iommuTest.DEV_CHECK_CACHE, checkCache);
on(iommuTest.CREATE_ACCESS, createAccess);
on(iommuTest.ACCESS_REPLACE_IOAS, accessReplace);
on(iommuTest.ACCESS_PAGES, accessPages);
on(iommuTest.ACCESS_RW, accessRw);
on(iommuTest.DESTROY_ACCESS_PAGES, destroyAccessPages);
on(iommuTest.SET_TEMP_MEMORY_LIMIT, memoryLimit);
on(iommuTest.DIRTY, dirty);
on(iommuTest.TRIGGER_IOPF, triggerFault);
on(iommuTest.TRIGGER_VEVENT, triggerEvent);
on(iommuTest.PASID_ATTACH, pasidAttach);
on(iommuTest.PASID_REPLACE, pasidReplace);
on(iommuTest.PASID_DETACH, pasidDetach);
on(iommuTest.PASID_CHECK_HWPT, pasidCheck);
on(iommuTest.DMABUF_GET, dmaBufGet);
on(iommuTest.DMABUF_REVOKE, dmaBufRevoke);

const { struct: anyOperation } = IOMMU_TEST_CMD;

export function testCommand(context: IommufdContext, bytes: Uint8Array, reply: (bytes: Uint8Array) => number): number {
  return operations.get(anyOperation.decode(bytes).op)?.(context, bytes, reply) ?? -errno.EOPNOTSUPP;
}
