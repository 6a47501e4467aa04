/**
 * An open file description (struct file): what fds and mappings share. Each kind of file overrides what it can do; the
 * rest answers what the VFS answers for a file without that operation.
 */

import { errno } from '../../abi/errno.ts';
import { PAGE_SIZE } from '../../abi/linux.ts';
import type { Stat } from '../../syscalls/seam.ts';
import type { HostMapping } from '../guest-memfd/index.ts';
import type { Folio } from '../memory.ts';
import type { PageOwner } from '../page-windows.ts';
import type { PageRange } from '../ranges.ts';
import type { UserMemory } from './user-memory.ts';

/** A mapping of a file, as the file sees it. */
export interface FileMapping extends HostMapping {
  /** MAP_SHARED. */
  readonly shared: boolean;
  /** Drops page table entries: with `evenOwn` also those of pages that a private mapping has for itself. */
  unmapFilePages(range: PageRange, evenOwn?: boolean): void;
}

export abstract class MockFile {
  #references = 0;

  get(): this {
    this.#references++;
    return this;
  }

  put(): void {
    if (--this.#references === 0) this.release();
  }

  /** The last fd and the last mapping are gone. */
  protected release(): void {}

  abstract stat(): Stat;

  ioctl(_request: number, _arg: UserMemory): number {
    return -errno.ENOTTY;
  }

  read(_bytes: Uint8Array, _offset?: bigint): number {
    return -errno.EINVAL;
  }

  write(_bytes: Uint8Array, _offset?: bigint): number {
    return -errno.EINVAL;
  }

  truncate(_length: bigint): number {
    return -errno.EINVAL;
  }

  fallocate(_mode: number, _offset: bigint, _length: bigint): number {
    return -errno.ENODEV;
  }

  /** FMODE_PREAD and FMODE_PWRITE: files made by alloc_file_pseudo() lack them unless their maker adds them. */
  get hasPositions(): boolean {
    return false;
  }

  /** What a mapping's address and length must be a multiple of, in bytes. */
  get mappingUnit(): number {
    return PAGE_SIZE;
  }

  /** Whether this mapping may be made: 0 or -errno. */
  mmap(_mapping: FileMapping): number {
    return -errno.ENODEV;
  }

  /** The mapping is gone. */
  munmap(_mapping: FileMapping): void {}

  /** Whether it is VFIO's: a group, or a device; what KVM asks of a file that it is told of. */
  get isVfio(): boolean {
    return false;
  }

  /** Whether the file lies on a file system from which nothing may be executed. */
  get noExec(): boolean {
    return false;
  }

  /** Whose pages a mapping shows, where they can be pinned: not so for memory that is the kernel's own. */
  get owner(): PageOwner | undefined {
    return undefined;
  }

  /** The page behind a mapping, or -errno. */
  fault(_page: number): Folio | number {
    return -errno.EFAULT;
  }
}
