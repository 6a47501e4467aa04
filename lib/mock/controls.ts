/** What a test can do to a mock that it could not do to a kernel: look inside, hold pages, plan failures, be a guest. */

import { errno, errnoName } from '../abi/errno.ts';
import { checkBytes, checkInteger, checkU64, outOfRange, wrongType } from '../abi/invalid.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import { mortal } from './alive.ts';
import type { Faults } from './faults.ts';
import { type GuestMemfdInode, hostFault, memoryError } from './guest-memfd/index.ts';
import { violations } from './invariants/index.ts';
import { type DmaEngine, dmaEngine, type IommuSystem, makePrivateSide } from './iommu/index.ts';
import type { IommuPolicy } from './iommu/policy.ts';
import type { Journal } from './journal.ts';
import { GuestMemfdFile, type Machine, VmFile } from './kvm/index.ts';
import type { Folio } from './memory.ts';
import type { PageOwner, PlatformName } from './platform/index.ts';
import { type MockGuest, playedGuest } from './played-guest.ts';
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
   * then on its device gets private pages of a guest_memfd (IOMMU_IOAS_MAP_FILE) and nothing else, where that of any
   * other IOAS gets everything but those: what is on the wrong side is EACCES, when it is mapped or when a device comes.
   * No kernel's interface makes one so far. Not with `iommu: 'pin'`, which maps no private memory.
   */
  makePrivateSide(iommufd: number, ioasId: number): void;
  /** Pages that the hardware has given to guests: 0 when all are gone. */
  readonly guestPages: number;
  /** How the hardware has given the file's page to a guest; undefined where it has not. */
  pageOwner(fd: number, offset: bigint | number): PageOwner | undefined;
  /** Which of the mock's own rules are broken now, each in a sentence: none, or it is a bug of the mock. */
  violations(): readonly string[];
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
    get guestPages() {
      return machine.platform.ownedPages;
    },
    pageOwner: (fd, offset) => {
      const folio = gmemOf(fd).inode.filemap.get(firstPage(offset, PAGE_SIZE));
      return folio && machine.platform.owner(folio);
    },
    violations: () => violations(machine),
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
    guest: (vmFd) => playedGuest(vmOf(vmFd)),
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
