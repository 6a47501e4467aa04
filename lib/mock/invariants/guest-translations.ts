/** A guest's translation is for what the page is, and leads to the page that is there: none survives its invalidation. */

import { KVM_X86_DEFAULT_VM } from '../../abi/kvm.ts';
import type { LiveVm } from '../kvm/machine.ts';
import { isPrivate } from '../kvm/page-state.ts';
import { page, type Rule } from './rule.ts';

export const guestTranslations: Rule = {
  name: 'no translation survives its invalidation',
  *broken({ vms }) {
    for (const vm of vms) yield* ofVm(vm);
  },
};

function* ofVm(vm: LiveVm): Generator<string> {
  for (const { gfns, private: asPrivate, used } of vm.stage2.entries()) {
    const slot = vm.slots.find(gfns.start);
    const where = (): string => `guest ${page(gfns.start)} of vm ${vm.number}`;
    if (!slot) {
      yield `${where()} is translated, and no memory region has it`;
      continue;
    }
    if (!asPrivate && !slot.gmem?.only) continue;
    const { file, firstPage } = slot.gmem!;
    if (!file) {
      yield `${where()} is translated to a file that is gone`;
      continue;
    }
    const state = vm.type !== KVM_X86_DEFAULT_VM && isPrivate(vm, gfns.start, slot);
    if (state !== asPrivate) yield `${where()} is ${state ? 'private' : 'shared'}, and translated as the other`;
    const ahead = firstPage - slot.baseGfn;
    for (const [gfn, folio] of used()) {
      if (file.inode.filemap.get(gfn + ahead) !== folio) yield `${where()} leads to a page that the file does not have`;
    }
  }
}
