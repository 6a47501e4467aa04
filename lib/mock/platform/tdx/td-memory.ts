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
  const result = addPages(td, region);
  return process.write(data, struct.encode(region)) ? result : -errno.EFAULT;
}

/** Up to the first that is refused; `region` is what is left then. */
function addPages(td: Td, region: Region): number {
  for (; region.nr_pages > 0n; region.nr_pages--) {
    const refusal = addPage(td, region.gpa, region.source_addr);
    if (refusal !== 0) return refusal;
    region.gpa += PAGE;
    if (region.source_addr !== 0n) region.source_addr += PAGE;
  }
  return 0;
}

type Region = ReturnType<typeof KVM_TDX_INIT_MEM_REGION.struct.decode>;

function isValid({ vm, sharedBit }: Td, { source_addr, gpa, nr_pages }: Region): boolean {
  if (source_addr === 0n ? !vm.convertsInPlace : !isAligned(source_addr)) return false;
  const size = BigInt.asUintN(64, nr_pages * PAGE);
  if (!isAligned(gpa) || size === 0n || wraps(gpa, size)) return false;
  return !(gpa & sharedBit) && !((gpa + size - 1n) & sharedBit);
}

function addPage(td: Td, gpa: bigint, source: bigint): number {
  const from = source === 0n ? undefined : { address: source, writable: false };
  const done = td.vm.populate(toPages(gpa), 1, from, (gfn, folio, contents) => {
    if (!td.addPage(gfn, folio)) return -errno.EIO;
    if (contents) folio.bytes.set(contents);
    td.vm.mapPrivate(gfn, folio);
    return undefined;
  });
  // -errno, or the one page.
  return Math.min(done, 0);
}
