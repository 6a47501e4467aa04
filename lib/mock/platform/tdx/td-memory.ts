/** KVM_TDX_INIT_MEM_REGION: tdx_vcpu_init_mem_region(). */

import { errno } from '../../../abi/errno.ts';
import { KVM_TDX_INIT_MEM_REGION, KVM_TDX_MEASURE_MEMORY_REGION, PAGE_SIZE } from '../../../abi/index.ts';
import { isAligned, toPages, wraps } from '../../ranges.ts';
import type { Td, TdCall } from './td.ts';

const PAGE = BigInt(PAGE_SIZE);

export function initMemRegion({ td, flags, data }: TdCall, vcpu: number): number {
  const { process } = td.vm;
  const { struct } = KVM_TDX_INIT_MEM_REGION;
  if (!td.initialized.has(vcpu) || flags & ~KVM_TDX_MEASURE_MEMORY_REGION) return -errno.EINVAL;
  const bytes = process.read(data, struct.size);
  if (!bytes) return -errno.EFAULT;
  const region = struct.decode(bytes);
  if (!isValid(td, region)) return -errno.EINVAL;
  let result = 0;
  for (; region.nr_pages > 0n; region.nr_pages--) {
    result = addPage(td, region.gpa, region.source_addr);
    if (result !== 0) break;
    region.gpa += PAGE;
    if (region.source_addr !== 0n) region.source_addr += PAGE;
  }
  return process.write(data, struct.encode(region)) ? result : -errno.EFAULT;
}

type Region = ReturnType<typeof KVM_TDX_INIT_MEM_REGION.struct.decode>;

function isValid({ vm, sharedBit }: Td, { source_addr, gpa, nr_pages }: Region): boolean {
  if (source_addr === 0n ? !vm.convertsInPlace : !isAligned(source_addr)) return false;
  const size = nr_pages * PAGE;
  if (!isAligned(gpa) || nr_pages === 0n || size > 0xffff_ffff_ffff_ffffn || wraps(gpa, size)) return false;
  return !(gpa & sharedBit) && !((gpa + size - 1n) & sharedBit);
}

function addPage(td: Td, gpa: bigint, source: bigint): number {
  const done = td.vm.populate(toPages(gpa), 1, source === 0n ? undefined : source, (gfn, folio, contents) => {
    if (!td.addPage(gfn, folio)) return -errno.EIO;
    if (contents) folio.bytes.set(contents);
    td.vm.mapPrivate(gfn, folio);
    return 0;
  });
  if (done < 0) return done;
  return done === 1 ? 0 : -errno.EIO;
}
