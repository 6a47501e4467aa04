/** How memory regions are passed: the two structs, where they lie, and what depends on the VM's type. */

import {
  type ErrnoName,
  KVM_MEM_GUEST_MEMFD,
  KVM_MEM_READONLY,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SET_USER_MEMORY_REGION2,
  PAGE_SIZE,
  PROT_NONE,
} from '../../abi/index.ts';
import type { VmType } from '../../kvm/index.ts';
import { endOfMemory, memfd, mmap } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { hasPrivateMemory, hasProtectedState } from '../facts.ts';
import { checkCovered, deleteSlot, setRegion, setRegionV1 } from '../region.ts';
import { vmTypeVariants } from '../vm-types.ts';

const P = BigInt(PAGE_SIZE);
const GPA = 0x10_0000n;
const V1_SIZE = KVM_SET_USER_MEMORY_REGION.struct.size;

/** A page that ends with the first `length` bytes of a region struct; what comes after it cannot be read. */
async function atTheEndOfMemory(t: T, length: number): Promise<{ address: bigint }> {
  const region = { slot: 1, guest_phys_addr: GPA, memory_size: P };
  const bytes = KVM_SET_USER_MEMORY_REGION2.struct.encode(region).subarray(0, length);
  return { address: await endOfMemory(t, bytes) };
}

const structMemory = defineCase({
  name: 'memory-region-struct-in-memory',
  about:
    'KVM_SET_USER_MEMORY_REGION reads 32 bytes and its successor 160, all of which must be readable (EFAULT) and need ' +
    'not be writable (kvm_vm_ioctl()).',
  async run(t) {
    const vm = await t.vm();
    const { raw } = t.host;
    const short = await atTheEndOfMemory(t, V1_SIZE);
    t.fails(await raw.tryIoctl(vm, KVM_SET_USER_MEMORY_REGION2, short), 'EFAULT', 'REGION2 where 32 bytes can be read');
    await checkCovered(t, vm, GPA, false, 'after that');
    t.succeeds(await raw.tryIoctl(vm, KVM_SET_USER_MEMORY_REGION, short), 'REGION where 32 bytes can be read');
    await checkCovered(t, vm, GPA, true, 'after that');
    t.succeeds(await deleteSlot(t, vm, 1), 'deleting it');
    const shorter = await atTheEndOfMemory(t, V1_SIZE - 8);
    t.fails(await raw.tryIoctl(vm, KVM_SET_USER_MEMORY_REGION, shorter), 'EFAULT', 'REGION where 24 bytes can be read');
    const full = await atTheEndOfMemory(t, KVM_SET_USER_MEMORY_REGION2.struct.size);
    t.succeeds(await raw.tryIoctl(vm, KVM_SET_USER_MEMORY_REGION2, full), 'REGION2 where 160 bytes can be read');
    for (const { request } of [KVM_SET_USER_MEMORY_REGION, KVM_SET_USER_MEMORY_REGION2]) {
      t.fails(await raw.tryIoctl(vm, request, 0), 'EFAULT', `request 0x${request.toString(16)} with a null pointer`);
      const hidden = t.succeeds(
        await mmap(t, await memfd(t, PAGE_SIZE), { length: PAGE_SIZE, prot: PROT_NONE }),
        'mmap',
      );
      const unreadable = await raw.tryIoctl(vm, request, { address: hidden });
      t.fails(unreadable, 'EFAULT', `request 0x${request.toString(16)} with memory that cannot be read`);
    }
  },
});

const v1 = defineCase<readonly [flags: number, guestPhysAddr: bigint, answer: ErrnoName | undefined]>({
  name: 'memory-region-v1',
  about:
    'KVM_SET_USER_MEMORY_REGION has no field for a guest_memfd: its flag is EINVAL, before the slots that are there ' +
    'are looked at (KVM_SET_USER_MEMORY_REGION_V1_FLAGS); the rest is as in its successor.',
  variants: {
    plain: [0, GPA, undefined],
    readonly: [KVM_MEM_READONLY, GPA, undefined],
    'guest-memfd': [KVM_MEM_GUEST_MEMFD, GPA, 'EINVAL'],
    'guest-memfd-where-a-slot-is': [KVM_MEM_GUEST_MEMFD, 0n, 'EINVAL'],
    'unknown-flag': [1 << 3, 0n, 'EINVAL'],
    'where-a-slot-is': [0, 0n, 'EEXIST'],
    misaligned: [0, 1n, 'EINVAL'],
  },
  async run(t, [flags, guest_phys_addr, code]) {
    const vm = await t.vm();
    t.succeeds(await setRegion(t, vm, { slot: 0, memory_size: P }), 'a slot at 0');
    const answer = await setRegionV1(t, vm, { slot: 1, flags, guest_phys_addr, memory_size: P });
    if (code === undefined) t.succeeds(answer, 'the region');
    else t.fails(answer, code, 'the region');
    await checkCovered(t, vm, GPA, code === undefined, 'afterwards');
    await checkCovered(t, vm, 0n, true, 'afterwards');
    if (code === undefined) t.succeeds(await setRegionV1(t, vm, { slot: 1 }), 'deleting it the same way');
    else t.fails(await setRegionV1(t, vm, { slot: 1 }), 'EINVAL', 'deleting what is not there');
  },
});

const v1Deletes = defineCase({
  name: 'memory-region-v1-deletes-any',
  about: 'It deletes a slot with a guest_memfd as well as any other (kvm_set_memory_region()).',
  async run(t) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: P });
    const region = { slot: 1, flags: KVM_MEM_GUEST_MEMFD, guest_phys_addr: GPA, memory_size: P, guest_memfd: gmem.fd };
    t.succeeds(await setRegion(t, vm, region), 'binding');
    t.succeeds(await setRegionV1(t, vm, { slot: 1 }), 'deleting');
    t.succeeds(await setRegion(t, vm, region), 'binding again');
  },
});

const byType = defineCase<VmType>({
  name: 'memory-region-vm-type',
  about:
    'A VM with protected state takes no read-only slot (kvm_arch_has_readonly_mem()), one with private memory has one ' +
    'address space (kvm_arch_nr_memslot_as_ids()); the same guest page can be in each address space once.',
  requires: (vmType) => ({ vmType }),
  variants: vmTypeVariants,
  async run(t, type) {
    const vm = await t.vm();
    const readonly = await setRegion(t, vm, { slot: 1, flags: KVM_MEM_READONLY, memory_size: P });
    if (hasProtectedState(type)) t.fails(readonly, 'EINVAL', 'a read-only slot');
    else {
      t.succeeds(readonly, 'a read-only slot');
      t.succeeds(await deleteSlot(t, vm, 1), 'deleting it');
    }
    // 0 where the kernel does not know the capability, since it was built with one address space.
    const spaces = (await vm.checkExtension('KVM_CAP_MULTI_ADDRESS_SPACE')) || 1;
    if (hasPrivateMemory(type)) t.equal(spaces, 1, 'address spaces of a VM with private memory');
    // In each space one slot of the same number, and one of a number of its own.
    for (let space = 0; space < spaces; space += 1) {
      for (const [slot, guest_phys_addr] of [
        [1, GPA],
        [2 + space, GPA + P],
      ] as const) {
        const region = { slot: (space << 16) | slot, guest_phys_addr, memory_size: P };
        t.succeeds(await setRegion(t, vm, region), `slot ${slot} in address space ${space}`);
        const again = { ...region, slot: (space << 16) | 9 };
        t.fails(await setRegion(t, vm, again), 'EEXIST', `its page once more in address space ${space}`);
      }
    }
    const beyond = { slot: (spaces << 16) | 1, guest_phys_addr: GPA + 8n * P, memory_size: P };
    t.fails(await setRegion(t, vm, beyond), 'EINVAL', `a slot in address space ${spaces}`);
    for (let space = 0; space < spaces; space += 1) {
      t.succeeds(await deleteSlot(t, vm, (space << 16) | 1), `deleting slot 1 in address space ${space}`);
      t.fails(await deleteSlot(t, vm, (space << 16) | 1), 'EINVAL', `deleting it again in address space ${space}`);
    }
    await checkCovered(t, vm, GPA, false, 'afterwards');
  },
});

export const cases: readonly AnyCase[] = [structMemory, v1, v1Deletes, byType];
