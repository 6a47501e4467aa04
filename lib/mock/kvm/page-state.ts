/** What a guest page is to KVM at this moment: private or shared. */

import { KVM_MEMORY_ATTRIBUTE_PRIVATE } from '../../abi/kvm.ts';
import type { RangeMap } from '../../ranges/index.ts';
import type { Profile } from '../profile.ts';
import type { Memslot } from './memslots.ts';

/** A VM, as far as the state of its pages depends on it. */
export interface HasPageState {
  readonly machine: { readonly profile: Profile };
  readonly attributes: RangeMap<bigint>;
}

/** Who knows a page's state: the guest_memfd where the kernel tracks it there, the VM's attributes otherwise. */
export function isPrivate(vm: HasPageState, gfn: number, slot: Memslot | undefined): boolean {
  const gmem = slot?.gmem;
  if (slot && gmem?.only && vm.machine.profile.conversion !== 'none') {
    // A closed file has no state any more, and the page counts as shared.
    return gmem.file?.inode.shareability.get(gfn - slot.baseGfn + gmem.firstPage) === 'private';
  }
  return vm.attributes.get(gfn) === KVM_MEMORY_ATTRIBUTE_PRIVATE;
}
