/** The test driver's requests about mock domains, in the words of the scenarios. */

import { iommuTest } from '../../../lib/abi/iommufd-test.ts';
import type { Kit } from './kit.ts';

/** Where a mock domain begins. */
export const BASE = 0x100_0000;

export function mockDomain(kit: Kit, fd: number, id: number, what = 'mock domain') {
  const { result, out } = kit.call(what, fd, iommuTest.MOCK_DOMAIN, { id }, ['mock_domain']);
  return {
    result,
    stdev: out.mock_domain.out_stdev_id,
    hwpt: out.mock_domain.out_hwpt_id,
    idev: out.mock_domain.out_idev_id,
  };
}

export function checkMap(
  kit: Kit,
  what: string,
  fd: number,
  id: number,
  iova: bigint | number,
  length: number,
  uptr: bigint,
): void {
  kit.call(what, fd, iommuTest.MD_CHECK_MAP, { id, check_map: { iova, length, uptr } });
}

export function checkRefs(kit: Kit, what: string, fd: number, uptr: bigint, length: number, refs: number): void {
  kit.call(what, fd, iommuTest.MD_CHECK_REFS, { check_refs: { length, uptr, refs } });
}
