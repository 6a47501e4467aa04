/**
 * A guest_memfd as one VM holds it: its bindings to memslots, and KVM's part as a client of the inode. The memory and
 * its state belong to the inode (`../guest-memfd/`).
 */

import { errno } from '../../abi/errno.ts';
import { PAGE_SIZE, S_IFREG } from '../../abi/linux.ts';
import type { Stat } from '../../syscalls/seam.ts';
import {
  type Client,
  type Filter,
  fallocate,
  type GuestMemfdInode,
  hostFault,
  InodePages,
} from '../guest-memfd/index.ts';
import type { Reason } from '../journal.ts';
import type { Folio } from '../memory.ts';
import { reachOutside } from '../platform/index.ts';
import { type FileMapping, MockFile, type UserMemory } from '../process/index.ts';
import { RangeIndex } from '../range-index.ts';
import type { PageRange } from '../ranges.ts';
import { guestMemfdIoctls } from './guest-memfd-ioctls.ts';
import { fileRangeToGfns, type Memslot } from './memslots.ts';
import type { Vm } from './vm.ts';

const HOST_READS = { by: 'host', write: false } as const;

export class GuestMemfdFile extends MockFile implements Client {
  readonly vm: Vm;
  readonly inode: GuestMemfdInode;
  readonly #pages: InodePages;
  /** By their range of the file. */
  readonly #bindings = new RangeIndex<Memslot>();

  constructor(vm: Vm, inode: GuestMemfdInode) {
    super();
    this.vm = vm.get();
    this.inode = inode;
    this.#pages = new InodePages(inode);
    inode.clients.add(this);
    vm.machine.inodes.add(inode);
  }

  override ioctl(request: number, user: UserMemory): number {
    return guestMemfdIoctls(this.vm.machine.profile).run(this, request, user, -errno.ENOTTY);
  }

  override get noExec(): boolean {
    return true;
  }

  /** RFC v2: kvm_gmem_get_unmapped_area(). */
  override get mappingUnit(): number {
    return this.inode.blockPages * PAGE_SIZE;
  }

  override mmap(mapping: FileMapping): number {
    if (!this.inode.mappable) return -errno.ENODEV;
    if (!mapping.shared) return -errno.EINVAL;
    this.inode.mappings.add(mapping);
    return 0;
  }

  override munmap(mapping: FileMapping): void {
    this.inode.mappings.delete(mapping);
  }

  override get owner(): InodePages {
    return this.#pages;
  }

  override fault(page: number): Folio | number {
    const folio = hostFault(this.inode, page);
    // A shared page that a guest still has is one that KVM failed to take from it.
    if (typeof folio !== 'number') reachOutside(this.vm.machine, folio, HOST_READS, { target: this.inode.title, page });
    return folio;
  }

  override fallocate(mode: number, offset: bigint, length: bigint): number {
    return fallocate(this.inode, mode, offset, length);
  }

  stat(): Stat {
    const { inode } = this;
    return {
      ino: BigInt(inode.number),
      mode: S_IFREG | 0o600,
      nlink: 1,
      size: inode.size,
      blksize: this.mappingUnit,
      blocks: inode.blocks,
    };
  }

  bind(slot: Memslot): void {
    const { firstPage } = slot.gmem!;
    this.#bindings.add({ start: firstPage, end: firstPage + slot.pages }, slot);
  }

  unbind(slot: Memslot): void {
    this.#bindings.delete(slot);
  }

  /** Whether a slot of this VM already has one of these pages of the file. */
  isBound(range: PageRange): boolean {
    return this.#bindings.within(range.start, range.end).length > 0;
  }

  /** Slots that the range reaches, with their part of it in guest pages. One mmu_lock section covers them all. */
  #reached(range: PageRange): { slot: Memslot; gfns: PageRange }[] {
    const slots = this.#bindings.within(range.start, range.end);
    return slots.map((slot) => ({ slot, gfns: fileRangeToGfns(slot, range)! }));
  }

  invalidateBegin(range: PageRange): void {
    for (const { gfns } of this.#reached(range)) this.vm.stage2.beginInvalidation(gfns);
  }

  invalidateEnd(range: PageRange): void {
    for (const { gfns } of this.#reached(range)) this.vm.stage2.endInvalidation(gfns);
  }

  unmap(range: PageRange, filter: Filter, reason: Reason): void {
    const { platform } = this.vm.machine;
    for (const { slot, gfns } of this.#reached(range)) {
      const zapped = this.vm.zap(slot, gfns, reason, (translation) => {
        if (!platform.separateTables || filter === 'both') return true;
        return translation.private === (filter === 'private');
      });
      this.vm.unmapped(zapped);
    }
    if (reason === 'convert-to-shared') this.#makeShared(range);
  }

  /** kvm_arch_gmem_make_shared(), for all memory that the file has in the range. */
  #makeShared(range: PageRange): void {
    const { platform } = this.vm.machine;
    if (!platform.makeShared || platform.ownedPages === 0) return;
    for (const part of this.inode.filemap.allocated(range)) {
      const { pfn } = this.inode.filemap.get(part.start)!;
      if (platform.makeShared(pfn!, part.end - part.start)) this.inode.record('make-shared', part);
    }
  }

  /** kvm_gmem_release(): the last fd and mapping are gone. Slots stay and are unbacked; memory goes with the inode. */
  protected override release(): void {
    const everything = { start: 0, end: this.inode.pages };
    this.inode.record('invalidate-begin', everything, { reason: 'release' });
    this.invalidateBegin(everything);
    this.unmap(everything, 'both', 'release');
    this.invalidateEnd(everything);
    this.inode.record('invalidate-end', everything, { reason: 'release' });
    for (const { slot } of this.#reached(everything)) slot.gmem!.file = undefined;
    this.inode.clients.delete(this);
    if (this.inode.clients.size === 0) {
      if (this.inode.mappings.size) throw new Error('mock: a file goes that is still mapped');
      this.inode.evict();
      this.vm.machine.inodes.delete(this.inode);
    }
    this.vm.put();
  }
}
