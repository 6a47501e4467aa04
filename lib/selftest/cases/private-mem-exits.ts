/** The kernel's private_mem_kvm_exits_test: a slot is deleted under a guest that reads its private page over and over. */

import { errno, KVM_MEMORY_EXIT_FLAG_PRIVATE, PAGE_SIZE } from '../../abi/index.ts';
import type { GuestStopped, VcpuExit } from '../../kvm/index.ts';
import { anonymous } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';

const GPA = 0xc000_0000n;
const SLOT = 10;
/** Reads before the slot goes, so that the guest is in the middle of them. */
const READS = 20;

const slotDeleted = defineCase({
  name: 'private_mem_access_memslot_deleted',
  about:
    'A guest that reads a private page while its slot is deleted leaves with KVM_EXIT_MEMORY_FAULT, private, where the VM ' +
    'keeps the state; where the file keeps it, no slot means MMIO (private_mem_kvm_exits_test; v13).',
  requires: { dialect: ['vm-attributes', 'rfc-convert', 'attributes2'], vmType: 'sw-protected', guest: true },
  async run(t) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: PAGE_SIZE });
    const userspaceAddr = await anonymous(t, PAGE_SIZE);
    await vm.setMemoryRegion({ slot: SLOT, guestPhysAddr: GPA, size: PAGE_SIZE, gmem, userspaceAddr });
    const inFile = t.features.dialect === 'attributes2';
    if (!inFile) await vm.setMemoryAttributes({ address: GPA, size: PAGE_SIZE, to: 'private' });
    const guest = await vm.createGuest();
    t.defer(() => guest.close());

    let reads = 0;
    let deleted: Promise<void> | undefined;
    let stopped: GuestStopped | undefined;
    while (!stopped && !t.signal.aborted) {
      if (reads === READS) deleted = vm.deleteMemoryRegion(SLOT);
      const read = await guest.read(GPA, 8);
      if (read.ok) t.equal(read.bytes, new Uint8Array(8), 'what the guest reads of a page nobody wrote');
      else stopped = read;
      reads += 1;
    }
    await deleted;
    t.ok(reads > READS, 'the guest read the page while it had its slot');
    const { exit, completed } = stopped as GuestStopped;
    t.equal(completed, 0, 'bytes read by then');
    t.equal<VcpuExit>(withoutData(exit), wantedExit(inFile), 'the exit');
  },
});

const withoutData = (exit: VcpuExit): VcpuExit =>
  exit.reason === 'mmio' ? { ...exit, data: new Uint8Array(exit.data.length) } : exit;

/** The guest reads byte by byte. */
const wantedExit = (inFile: boolean): VcpuExit =>
  inFile
    ? { reason: 'mmio', write: false, gpa: GPA, data: new Uint8Array(1) }
    : {
        reason: 'memory-fault',
        errno: -errno.EFAULT,
        flags: KVM_MEMORY_EXIT_FLAG_PRIVATE,
        private: true,
        gpa: GPA,
        size: BigInt(PAGE_SIZE),
      };

export const cases: readonly AnyCase[] = [slotDeleted];
