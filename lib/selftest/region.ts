/** Memory regions below the typed API, and what can be found out about slots without a guest. */

import {
  type IoctlIn,
  KVM_MEM_GUEST_MEMFD,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SET_USER_MEMORY_REGION2,
  PAGE_SIZE,
} from '../abi/index.ts';
import type { FdLike } from '../host/index.ts';
import type { T } from './context.ts';
import { boundTwice } from './facts.ts';

export type Region = IoctlIn<typeof KVM_SET_USER_MEMORY_REGION2>;
export type RegionV1 = IoctlIn<typeof KVM_SET_USER_MEMORY_REGION>;

/** Out of the way of what cases use. */
const PROBE_SLOT = 999;
const PROBE_GPA = 0x70_0000_0000n;

/** -1 as the struct holds it. */
export const BAD_FD = 0xffff_ffff;

export const setRegion = (t: T, vm: FdLike, region: Region) =>
  t.host.raw.tryIoctl(vm, KVM_SET_USER_MEMORY_REGION2, region);

export const setRegionV1 = (t: T, vm: FdLike, region: RegionV1) =>
  t.host.raw.tryIoctl(vm, KVM_SET_USER_MEMORY_REGION, region);

/** Deletes a slot; EINVAL where there is none. */
export const deleteSlot = (t: T, vm: FdLike, slot: number) => setRegion(t, vm, { slot });

/** Checks whether a guest page belongs to a slot: another one in its place is refused then. */
export async function checkCovered(t: T, vm: FdLike, gpa: bigint, want: boolean, what: string): Promise<void> {
  const probe = await setRegion(t, vm, { slot: PROBE_SLOT, guest_phys_addr: gpa, memory_size: PAGE_SIZE });
  if (probe.ok) t.succeeds(await deleteSlot(t, vm, PROBE_SLOT), 'deleting the probe');
  const guestPage = `guest page 0x${gpa.toString(16)}`;
  if (want) t.fails(probe, 'EEXIST', `${what}: another slot at ${guestPage}, which is taken`);
  else t.succeeds(probe, `${what}: another slot at ${guestPage}, which is free`);
}

/** Checks which pages of a file are bound to slots of the VM: binding one again is refused. */
export async function checkBound(
  t: T,
  vm: FdLike,
  gmem: FdLike,
  want: readonly boolean[],
  what: string,
): Promise<void> {
  for (const [page, isBound] of want.entries()) {
    const probe = await setRegion(t, vm, {
      slot: PROBE_SLOT,
      flags: KVM_MEM_GUEST_MEMFD,
      guest_phys_addr: PROBE_GPA,
      memory_size: PAGE_SIZE,
      guest_memfd: fdOf(gmem),
      guest_memfd_offset: BigInt(page * PAGE_SIZE),
    });
    if (probe.ok) t.succeeds(await deleteSlot(t, vm, PROBE_SLOT), 'deleting the probe');
    if (isBound) t.fails(probe, boundTwice(t.features), `${what}: binding page ${page}, which is bound`);
    else t.succeeds(probe, `${what}: binding page ${page}, which is free`);
  }
}

const fdOf = (fd: FdLike): number => (typeof fd === 'number' ? fd : fd.fd);
