/** What a test can do to a mock that it could not do to a kernel: look inside, hold pages, plan failures, be a guest. */

import { errno, errnoName } from '../abi/errno.ts';
import { checkBytes, checkInteger, checkOneOf, checkU64, outOfRange, wrongType } from '../abi/invalid.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import { checkAlive, mortal } from './crash.ts';
import type { Faults } from './faults.ts';
import { type GuestMemfdInode, hostFault, memoryError } from './guest-memfd/index.ts';
import { type DmaEngine, dmaEngine, type IommuSystem, makePrivateSide } from './iommu/index.ts';
import type { IommuPolicy } from './iommu/policy.ts';
import type { Journal } from './journal.ts';
import { type Access, access, type GuestExit, GuestMemfdFile, type Machine, VmFile } from './kvm/index.ts';
import type { Folio } from './memory.ts';
import type { PlatformName } from './platform/index.ts';
import type { AddressSpace } from './process/index.ts';
import type { Profile } from './profile.ts';
import { toPages } from './ranges.ts';

/** References on pages, as pin_user_pages() takes them: a conversion to private is refused while they last. */
export interface Pin extends Disposable {
  /** The pinned bytes, which stay the pinner's even after a truncation. */
  read(): Uint8Array;
  release(): void;
}

/** Another process with the mappings that were there when it was forked, at the same addresses. */
export interface ForkedProcess extends Disposable {
  /** As copyOut: bytes read, or -EFAULT where the process would get SIGBUS or SIGSEGV. */
  read(address: bigint, bytes: Uint8Array): number;
  write(address: bigint, bytes: Uint8Array): number;
  exit(): void;
}

export type GuestRead =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly exit: GuestExit };
export type GuestWrite = { readonly ok: true } | { readonly ok: false; readonly exit: GuestExit };

/**
 * A guest's view of its memory at this very moment, in the middle of a call too; a vCPU comes to run between calls only.
 * `access` says shared or private where the VM type has a bit for it.
 */
export interface MockGuest {
  read(gpa: bigint | number, length: number, options?: { readonly access?: Access }): GuestRead;
  write(gpa: bigint | number, bytes: Uint8Array, options?: { readonly access?: Access }): GuestWrite;
  /**
   * What the second-level page table has for a guest-physical address: how many bytes one entry maps (4 KiB, 2 MiB or
   * 1 GiB), and as what. undefined: nothing yet.
   */
  mapping(gpa: bigint | number): { readonly size: number; readonly access: Access } | undefined;
}

export interface MockControls {
  readonly profile: Profile;
  readonly platform: PlatformName;
  /** How the IOMMU has a guest_memfd's pages. */
  readonly iommuPolicy: IommuPolicy;
  readonly journal: Journal;
  readonly faults: Faults;
  /** Fds open in the mock process. */
  readonly openFds: number;
  /**
   * What the host died of, where platform 'tdx' says that it would have: a stale shared mapping was used. From then on
   * every call and every access of a guest or a device ends with a MockHostCrashedError.
   */
  readonly machineCheck: string | undefined;
  /** Pages of memory in use by files, mappings and pins. */
  readonly pagesInUse: number;
  /** Pages that iommufd has pinned: now, and at most so far. */
  readonly dmaPinned: { readonly now: number; readonly peak: number };
  /** The DMA of a device on an IOAS: its reads and writes go through the IOMMU's page tables, at this very moment. */
  dma(iommufd: number, ioasId: number): DmaEngine;
  /**
   * Makes an IOAS that maps nothing yet the private side of a device, one that a confidential guest has accepted. From
   * then on it takes private pages of a guest_memfd (IOMMU_IOAS_MAP_FILE) and answers EACCES for everything else, where
   * any other IOAS answers EACCES for private pages. No kernel's interface makes one so far. Not with `iommu: 'pin'`,
   * which maps no private memory.
   */
  makePrivateSide(iommufd: number, ioasId: number): void;
  pin(fd: number, offset: bigint | number, length: number): Pin;
  /** Somebody holds the page at `offset` during its next `attempts` reference checks, and then lets go. */
  transientReference(fd: number, offset: bigint | number, attempts: number): void;
  /**
   * The memory behind the page at `offset` breaks, as memory_failure() has it: guest accesses answer EHWPOISON, the
   * host's SIGBUS (EFAULT for copies), until a hole drops the page. It is never given back.
   */
  poison(fd: number, offset: bigint | number): void;
  fork(): ForkedProcess;
  guest(vmFd: number): MockGuest;
  /** What KVM_BUG_ON() does: every later ioctl on the VM answers EIO. */
  killVm(vmFd: number): void;
}

export function makeControls(machine: Machine, { host: iommu }: IommuSystem): MockControls {
  const gmemOf = (fd: number): GuestMemfdFile => fileOf(machine, fd, GuestMemfdFile, 'the fd of a guest_memfd');
  const vmOf = (fd: number) => fileOf(machine, fd, VmFile, 'the fd of a VM').vm;
  return {
    profile: machine.profile,
    platform: machine.platform.name,
    iommuPolicy: iommu.policy,
    journal: machine.journal,
    faults: machine.faults,
    get openFds() {
      return machine.fds.size;
    },
    get machineCheck() {
      return machine.platform.machineCheck;
    },
    get pagesInUse() {
      return machine.memory.pagesInUse;
    },
    get dmaPinned() {
      return { now: iommu.locked.pinned, peak: iommu.locked.peakPinned };
    },
    dma: (iommufd, ioasId) => dmaEngine(iommu, iommufd, ioasId),
    makePrivateSide: (iommufd, ioasId) => makePrivateSide(iommu, iommufd, ioasId),
    pin: (fd, offset, length) => pin(gmemOf(fd).inode, offset, length),
    transientReference: (fd, offset, attempts) => {
      const { inode } = gmemOf(fd);
      // The kernel's own walkers (migration, memory errors) take references on private pages too.
      const folio = inode.filemap.get(firstPage(offset, PAGE_SIZE)) ?? hostPages(inode, offset, PAGE_SIZE)[0]!;
      machine.faults.holdFor(folio, checkInteger('attempts', attempts, 1, Number.MAX_SAFE_INTEGER));
    },
    poison: (fd, offset) => {
      const { inode } = gmemOf(fd);
      const page = firstPage(offset, PAGE_SIZE);
      memoryError(inode, page, inode.filemap.get(page) ?? hostPages(inode, offset, PAGE_SIZE)[0]!);
    },
    fork: () => forkedProcess(machine, machine.addressSpace.fork()),
    guest: (vmFd) => guestOf(machine, vmOf(vmFd)),
    killVm: (vmFd) => vmOf(vmFd).kill(),
  };
}

// biome-ignore lint/suspicious/noExplicitAny: only the class's identity matters here.
function fileOf<T>(machine: Machine, fd: number, kind: new (...args: any[]) => T, what: string): T {
  const file = machine.fds.get(checkInteger('fd', fd, 0, 0x7fff_ffff));
  if (!(file instanceof kind)) throw wrongType('fd', what, fd);
  return file;
}

/** The number of the first page of a range; throws where it is not made of whole pages. */
function firstPage(offset: bigint | number, length: number): number {
  const start = checkU64('offset', offset);
  checkInteger('length', length, 1, Number.MAX_SAFE_INTEGER);
  if (start % BigInt(PAGE_SIZE) !== 0n || length % PAGE_SIZE !== 0) {
    throw outOfRange('offset and length', `multiples of ${PAGE_SIZE}`, { offset, length });
  }
  return toPages(start);
}

/** The folios behind a range of the file, faulted in as the host would; throws where the host cannot touch one. */
function hostPages(inode: GuestMemfdInode, offset: bigint | number, length: number): Folio[] {
  const first = firstPage(offset, length);
  return Array.from({ length: length / PAGE_SIZE }, (_, i) => {
    const folio = inode.mappable ? hostFault(inode, first + i) : -errno.ENODEV;
    if (typeof folio === 'number') throw refusal(folio, `pinning page ${first + i} of inode ${inode.number}`);
    return folio;
  });
}

function refusal(error: number, what: string): Error {
  const code = errnoName(error);
  return Object.assign(new Error(`${code}: ${what}: the host cannot touch it`), { code, errno: error });
}

function pin(inode: GuestMemfdInode, offset: bigint | number, length: number): Pin {
  const folios = hostPages(inode, offset, length);
  for (const folio of folios) inode.pin(folio);
  let held = true;
  const release = (): void => {
    if (held) for (const folio of folios) inode.unpin(folio);
    held = false;
  };
  const read = (): Uint8Array => {
    const bytes = new Uint8Array(folios.length * PAGE_SIZE);
    for (const [i, folio] of folios.entries()) folio.copyTo(bytes.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE), 0);
    return bytes;
  };
  return { read, release, [Symbol.dispose]: release };
}

function forkedProcess(machine: Machine, addressSpace: AddressSpace): ForkedProcess {
  const exit = (): void => addressSpace.unmapAll();
  return {
    read: mortal(machine, (address, bytes) => {
      return addressSpace.copyOut(checkU64('address', address), checkBytes('bytes', bytes));
    }),
    write: mortal(machine, (address, bytes) => {
      return addressSpace.copyIn(checkU64('address', address), checkBytes('bytes', bytes));
    }),
    exit,
    [Symbol.dispose]: exit,
  };
}

function guestOf(machine: Machine, vm: VmFile['vm']): MockGuest {
  const wanted = (options: { readonly access?: Access } = {}): Access | undefined =>
    options.access === undefined ? undefined : checkOneOf<Access>('access', options.access, ['shared', 'private']);
  return {
    read(gpa, length, options) {
      checkAlive(machine);
      const bytes = new Uint8Array(checkInteger('length', length, 0, 0x4000_0000));
      const how = { write: false, access: wanted(options) };
      const exit = access(vm, checkU64('gpa', gpa), length, how, (folio, within, at, step) => {
        folio.copyTo(bytes.subarray(at, at + step), within);
      });
      return exit ? { ok: false, exit } : { ok: true, bytes };
    },
    write(gpa, bytes, options) {
      checkAlive(machine);
      const { length } = checkBytes('bytes', bytes);
      const how = { write: true, access: wanted(options) };
      const exit = access(vm, checkU64('gpa', gpa), length, how, (folio, within, at, step) => {
        folio.bytes.set(bytes.subarray(at, at + step), within);
      });
      return exit ? { ok: false, exit } : { ok: true };
    },
    mapping(gpa) {
      const found = vm.stage2.get(toPages(checkU64('gpa', gpa)));
      if (!found) return undefined;
      const size = (found.gfns.end - found.gfns.start) * PAGE_SIZE;
      return { size, access: found.private ? 'private' : 'shared' };
    },
  };
}
