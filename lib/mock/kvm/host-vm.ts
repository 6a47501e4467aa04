/** A VM as the hardware's part of the mock sees it. */

import { errno } from '../../abi/errno.ts';
import { PAGE_SIZE } from '../../abi/linux.ts';
import { getFolio, getZeroedFolio } from '../guest-memfd/index.ts';
import type { HostVm, Populate, ProcessMemory, Source } from '../platform/index.ts';
import { pinUserPages } from '../process/index.ts';
import { toBytes, toPages } from '../ranges.ts';
import { DriverFile } from './driver-file.ts';
import type { LiveVm, Machine } from './machine.ts';
import type { BackingFile, Memslot } from './memslots.ts';
import { isPrivate } from './page-state.ts';
import { mapsPage } from './stage2.ts';

const PAGE = BigInt(PAGE_SIZE);

/** A VM, as far as the hardware can reach into it. */
interface Hosted extends LiveVm {
  readonly machine: Machine;
  readonly vcpuIds: ReadonlySet<number>;
  readonly hasSplitIrqchip: boolean;
  readonly host: HostVm;
  kill(): void;
}

export function hostVm(vm: Hosted): HostVm {
  const { machine, number, type } = vm;
  return {
    number,
    type,
    get createdVcpus() {
      return vm.vcpuIds.size;
    },
    get hasSplitIrqchip() {
      return vm.hasSplitIrqchip;
    },
    convertsInPlace: machine.profile.conversion === 'attributes2',
    process: processMemory(machine),
    kill: () => vm.kill(),
    seamcallFails: () => machine.faults.failsSeamcall(),
    isDriverFile: (fd) => machine.fds.get(fd) instanceof DriverFile,
    populate: (gfn, pages, source, post) => populate(vm, gfn, pages, source, post),
    hasGuestMemfd: (gfn) => vm.slots.find(gfn)?.gmem !== undefined,
    mapPrivate: (gfn, folio) => {
      vm.stage2.install(mapsPage(gfn, folio, { writable: true, private: true }));
    },
  };
}

function processMemory({ addressSpace, memory, memlock }: Machine): ProcessMemory {
  return {
    ramPages: memory.total,
    memlock,
    read: (address, size) => {
      const bytes = new Uint8Array(size);
      return addressSpace.copyOut(address, bytes) === size ? bytes : undefined;
    },
    write: (address, bytes) => addressSpace.copyIn(address, bytes) === bytes.length,
    pin: (address, size, write) => {
      const start = toPages(address);
      const pages = toPages(address + size - 1n) + 1 - start;
      // A page that its owner lets go of stays pinned all the same.
      const onPart = (): void => {};
      const pinned = pinUserPages(addressSpace, memory, { address: toBytes(start), pages, write, onPart });
      if (typeof pinned === 'number') return undefined;
      return () => {
        for (const { window } of pinned) window.close();
      };
    },
  };
}

/** virt/kvm/guest_memfd.c, kvm_gmem_populate(). */
function populate(vm: Hosted, gfn: number, pages: number, source: Source | undefined, post: Populate): number {
  const slot = vm.slots.find(gfn);
  if (!slot?.gmem) return -errno.EINVAL;
  const { file } = slot.gmem;
  if (!file) return -errno.EFAULT;
  const count = Math.min(pages, slot.baseGfn + slot.pages - gfn);
  for (let i = 0; i < count; i++) {
    const contents = source && contentsOf(vm.host.process, source, i);
    const unreadable = source !== undefined && contents === undefined;
    const refusal = unreadable ? -errno.EFAULT : populatePage(vm, slot, file, gfn + i, contents, post);
    if (refusal !== undefined) return i > 0 ? i : refusal;
  }
  return count;
}

/** get_user_pages_fast(), and what is there. */
function contentsOf(process: ProcessMemory, { address, writable }: Source, page: number): Uint8Array | undefined {
  const at = address + BigInt(page) * PAGE;
  const unpin = process.pin(at, PAGE, writable);
  unpin?.();
  return unpin && process.read(at, PAGE_SIZE);
}

/** With in-place conversion the page is zeroed at its first use also where that is here: nobody's data stays in it. */
function populatePage(
  vm: Hosted,
  slot: Memslot,
  { inode }: BackingFile,
  gfn: number,
  contents: Uint8Array | undefined,
  post: Populate,
): number | undefined {
  const page = gfn - slot.baseGfn + slot.gmem!.firstPage;
  const folio = vm.host.convertsInPlace ? getZeroedFolio(inode, page) : getFolio(inode, page);
  if (typeof folio === 'number') return folio;
  if (!isPrivate(vm, gfn, slot)) return -errno.EINVAL;
  const refusal = post(gfn, folio, contents);
  if (refusal === undefined) inode.uptodate.set(page, page + 1, true);
  return refusal;
}
