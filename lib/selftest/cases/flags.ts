/** Creation flags, bit by bit and VM type by VM type: guest_memfd_test, test_vm_type_gmem_flag_validity. */

import {
  GUEST_MEMFD_FLAG_HUGETLB,
  GUEST_MEMFD_FLAG_INIT_PRIVATE,
  GUEST_MEMFD_FLAG_INIT_SHARED,
  GUEST_MEMFD_FLAG_MMAP,
  GUEST_MEMFD_FLAG_SUPPORT_SHARED,
  GUESTMEM_HUGETLB_FLAG_SHIFT,
  PAGE_SIZE,
} from '../../abi/index.ts';
import type { VmType } from '../../kvm/index.ts';
import { create } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { createFlags } from '../facts.ts';
import { eachVm, vmTypeVariants } from '../vm-types.ts';

/** A multiple of every huge page size there may be by default, so that only the flag can be the reason. */
const SIZE = 1n << 30n;
const BITS = Array.from({ length: 64 }, (_, bit) => 1n << BigInt(bit));

/** Whether this kernel was built with huge pages for guest_memfd: RFC v2 patch 41. */
const hasHugePages = ({ features }: T): boolean =>
  features.dialect === 'rfc-convert' && features.capabilities.KVM_CAP_GMEM_HUGETLB > 0;

const singleBits = defineCase<VmType>({
  name: 'vm_type_gmem_flag_validity',
  about:
    'Each of the 64 flag bits alone: what the VM type supports is accepted, every other bit is EINVAL; ' +
    'INIT_PRIVATE and the huge page size need their companions (kvm_gmem_create(); RFC v2 patches 02 and 41).',
  requires: (vmType) => ({ vmType }),
  variants: vmTypeVariants,
  async run(t, type) {
    const vm = await t.vm(type);
    const accepted = createFlags(t.features, type);
    t.succeeds(await create(t, vm, { size: SIZE }), 'creating without a flag');
    for (const flags of BITS) {
      const attempt = await create(t, vm, { size: SIZE, flags });
      const what = `creating with flags 0x${flags.toString(16)} on VM type ${type}`;
      if (flags === GUEST_MEMFD_FLAG_HUGETLB && hasHugePages(t)) {
        // The flag is right; whether the pool has pages is another matter.
        if (!attempt.ok) t.fails(attempt, 'ENOMEM', what);
      } else if (accepted & flags) t.succeeds(attempt, what);
      else t.fails(attempt, 'EINVAL', what);
    }
  },
});

const combined = defineCase({
  name: 'create-flags-combined',
  about: 'All supported flags go together, and one unknown bit among them makes EINVAL (kvm_gmem_create()).',
  run: (t) =>
    eachVm(t, async (vm) => {
      const flags = createFlags(t.features, vm.type);
      const supported = t.features.dialect === 'rfc-convert' ? flags | GUEST_MEMFD_FLAG_INIT_PRIVATE : flags;
      const huge = hasHugePages(t) ? GUEST_MEMFD_FLAG_HUGETLB : 0n;
      const all = await create(t, vm, { size: PAGE_SIZE, flags: supported });
      t.succeeds(all, `creating with flags ${supported} on VM type ${vm.type}`);
      for (const bit of BITS.filter((other) => (other & (supported | huge)) === 0n)) {
        const what = `creating with flags 0x${(supported | bit).toString(16)} on VM type ${vm.type}`;
        t.fails(await create(t, vm, { size: PAGE_SIZE, flags: supported | bit }), 'EINVAL', what);
      }
      t.fails(await create(t, vm, { size: PAGE_SIZE, flags: (1n << 64n) - 1n }), 'EINVAL', 'creating with every flag');
    }),
});

const initPrivate = defineCase({
  name: 'create-init-private-needs-support-shared',
  about: 'INIT_PRIVATE says how sharing starts: EINVAL alone, accepted with SUPPORT_SHARED (RFC v2 patch 02).',
  requires: { dialect: ['rfc-convert'] },
  run: (t) =>
    eachVm(t, async (vm) => {
      const alone = { size: PAGE_SIZE, flags: GUEST_MEMFD_FLAG_INIT_PRIVATE };
      t.fails(await create(t, vm, alone), 'EINVAL', `INIT_PRIVATE alone on VM type ${vm.type}`);
      const both = { size: PAGE_SIZE, flags: GUEST_MEMFD_FLAG_SUPPORT_SHARED | GUEST_MEMFD_FLAG_INIT_PRIVATE };
      t.succeeds(await create(t, vm, both), `INIT_PRIVATE with SUPPORT_SHARED on VM type ${vm.type}`);
    }),
});

const hugeSize = defineCase({
  name: 'create-huge-page-size-needs-hugetlb',
  about: 'A huge page size without HUGETLB is EINVAL (RFC v2 patch 41), as any unknown bit is elsewhere.',
  run: (t) =>
    eachVm(t, async (vm) => {
      const flags = createFlags(t.features, vm.type);
      for (const log2 of [14n, 16n, 21n, 30n, 34n]) {
        const sized = (flags & GUEST_MEMFD_FLAG_SUPPORT_SHARED) | (log2 << GUESTMEM_HUGETLB_FLAG_SHIFT);
        const what = `creating with flags 0x${sized.toString(16)} on VM type ${vm.type}`;
        t.fails(await create(t, vm, { size: SIZE, flags: sized }), 'EINVAL', what);
      }
    }),
});

const capability = defineCase({
  name: 'create-flags-capability',
  about:
    'KVM_CAP_GUEST_MEMFD_FLAGS on a VM lists the flags that this VM takes, and on /dev/kvm those that some VM does ' +
    '(kvm_gmem_get_supported_flags()).',
  requires: { dialect: ['attributes2', 'vm-attributes', 'none'], capability: 'KVM_CAP_GUEST_MEMFD_FLAGS' },
  run: (t) =>
    eachVm(t, async (vm) => {
      const flags = createFlags(t.features, vm.type);
      const listed = BigInt(await vm.checkExtension('KVM_CAP_GUEST_MEMFD_FLAGS'));
      t.equal(listed, flags, `a VM of type ${vm.type} lists`);
      const all = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED;
      t.equal(BigInt(t.features.capabilities.KVM_CAP_GUEST_MEMFD_FLAGS), all, '/dev/kvm lists');
    }),
});

export const cases: readonly AnyCase[] = [singleBits, combined, initPrivate, hugeSize, capability];
