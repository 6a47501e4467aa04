/** Memory regions (memslots): what is asked for, and what is made of it. */

import { checkBigint, checkInteger, checkOptions, U64_MAX, wrongType, wrongValue } from '../abi/invalid.ts';
import { KVM_MEM_GUEST_MEMFD, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY } from '../abi/kvm.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import { GuestMemfd, Mapping } from '../guest-memfd/index.ts';
import { checkPages, type Result, success, unwrap } from '../host/index.ts';
import { isMockHostCrashedError } from '../syscalls/host-crashed.ts';

export interface MemoryRegionOptions {
  /** The slot's number, from 0; see `features.maxMemslots`. */
  readonly slot: number;
  /** 0, the default, or 1 for system management mode on x86 (KVM_CAP_MULTI_ADDRESS_SPACE). */
  readonly addressSpace?: number;
  /** Where the guest sees it: a guest-physical address, whole pages. */
  readonly guestPhysAddr: number | bigint;
  /** Bytes, whole pages, at least one. */
  readonly size: number | bigint;
  /** The guest_memfd behind it, of this VM. */
  readonly gmem?: GuestMemfd;
  /** Where in the guest_memfd it starts; 0 by default. */
  readonly gmemOffset?: number | bigint;
  /** Where in this process it is: a mapping, or an address; 0, the default, means nowhere. */
  readonly userspaceAddr?: Mapping | number | bigint;
  /** KVM_MEM_READONLY: writes of the guest exit. */
  readonly readonly?: boolean;
  /** KVM_MEM_LOG_DIRTY_PAGES. */
  readonly logDirtyPages?: boolean;
}

/** The options with defaults, in the kernel's terms. */
export interface CheckedRegion {
  readonly slot: number;
  readonly addressSpace: number;
  /** Slot and address space as the kernel takes them: kvm_userspace_memory_region2.slot. */
  readonly id: number;
  readonly guestPhysAddr: bigint;
  readonly size: bigint;
  readonly gmemOffset: bigint;
  readonly gmem: GuestMemfd | undefined;
  readonly userspaceAddr: Mapping | bigint;
  readonly flags: number;
}

const ONE_PAGE = BigInt(PAGE_SIZE);
const U16_MAX = 0xffff;
const OPTIONS = [
  'slot',
  'addressSpace',
  'guestPhysAddr',
  'size',
  'gmem',
  'gmemOffset',
  'userspaceAddr',
  'readonly',
  'logDirtyPages',
] as const;

export function checkRegion(options: MemoryRegionOptions): CheckedRegion {
  checkOptions('options', options, OPTIONS);
  const { slot, addressSpace = 0, gmem, gmemOffset, userspaceAddr = 0n } = options;
  const id = slotId(slot, addressSpace);
  if (gmem !== undefined && !(gmem instanceof GuestMemfd)) throw wrongType('options.gmem', 'a GuestMemfd', gmem);
  if (gmemOffset !== undefined && !gmem) throw wrongValue('options.gmemOffset', 'left out without a gmem', gmemOffset);
  const guestPhysAddr = checkPages('options.guestPhysAddr', options.guestPhysAddr, 0n, U64_MAX);
  const size = checkPages('options.size', options.size, ONE_PAGE, U64_MAX);
  return {
    slot,
    addressSpace,
    id,
    guestPhysAddr,
    size,
    gmem,
    gmemOffset: checkPages('options.gmemOffset', gmemOffset === undefined ? 0n : gmemOffset, 0n, U64_MAX),
    userspaceAddr: userspaceAddr instanceof Mapping ? userspaceAddr : checkAddress(userspaceAddr),
    flags: flagsOf(options),
  };
}

/** Low 16 bits: the slot; high 16 bits: the address space. */
export function slotId(slot: number, addressSpace: number): number {
  checkInteger('slot', slot, 0, U16_MAX);
  checkInteger('addressSpace', addressSpace, 0, U16_MAX);
  return addressSpace * 0x1_0000 + slot;
}

function checkAddress(address: unknown): bigint {
  if (typeof address !== 'number' && typeof address !== 'bigint') {
    throw wrongType('options.userspaceAddr', 'a Mapping, a number or a bigint', address);
  }
  return checkPages('options.userspaceAddr', checkBigint('options.userspaceAddr', address, 0n, U64_MAX), 0n, U64_MAX);
}

function flagsOf({ gmem, readonly = false, logDirtyPages = false }: MemoryRegionOptions): number {
  if (typeof readonly !== 'boolean') throw wrongType('options.readonly', 'a boolean', readonly);
  if (typeof logDirtyPages !== 'boolean') throw wrongType('options.logDirtyPages', 'a boolean', logDirtyPages);
  return (
    (gmem ? KVM_MEM_GUEST_MEMFD : 0) | (readonly ? KVM_MEM_READONLY : 0) | (logDirtyPages ? KVM_MEM_LOG_DIRTY_PAGES : 0)
  );
}

/** How a region takes itself back; what the VM knows of it. */
export interface Slot {
  /** False once the slot was deleted, or set anew. */
  isCurrent(): boolean;
  isVmClosed(): boolean;
  remove(): Promise<Result<void>>;
}

/** A memory region, until it is deleted or its slot is set anew. */
export class MemoryRegion {
  readonly slot: number;
  readonly addressSpace: number;
  readonly guestPhysAddr: bigint;
  /** Bytes. */
  readonly size: bigint;
  readonly #slot: Slot;

  constructor({ slot, addressSpace, guestPhysAddr, size }: CheckedRegion, state: Slot) {
    this.slot = slot;
    this.addressSpace = addressSpace;
    this.guestPhysAddr = guestPhysAddr;
    this.size = size;
    this.#slot = state;
  }

  /** Whether the region is gone: deleted, or replaced by another in the same slot. */
  get deleted(): boolean {
    return !this.#slot.isCurrent();
  }

  /**
   * Deletes the slot: the guest's next access to it is an MMIO exit. Deleting twice does nothing.
   * @throws KernelError, ClosedError when the VM was closed before
   */
  async delete(): Promise<void> {
    unwrap(await this.tryDelete());
  }

  /** As `delete`, with the kernel's refusal as a value. */
  async tryDelete(): Promise<Result<void>> {
    return this.deleted ? success(undefined) : await this.#slot.remove();
  }

  /** Deletes it, unless it is gone with its VM: that is closed, or its host has died. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#slot.isVmClosed()) return;
    try {
      await this.delete();
    } catch (error) {
      if (!isMockHostCrashedError(error)) throw error;
    }
  }
}
