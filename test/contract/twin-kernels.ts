/** Two backends with the same files open on each, so that the same call can be made through both and compared. */

import fc from 'fast-check';
import { KVM_CREATE_GUEST_MEMFD, KVM_CREATE_VM } from '../../lib/abi/kvm.ts';
import { EFD_NONBLOCK, MAP_SHARED, O_RDWR, PROT_READ, PROT_WRITE } from '../../lib/abi/linux.ts';
import { ioctls } from '../../lib/abi/table.ts';
import type { IoctlArg, Stat, Syscalls } from '../../lib/syscalls/seam.ts';

export const PAGE = 4096;
const GUEST_BYTES = 4 * PAGE;
const MAPPED = 6 * PAGE;

export const FILES = ['kvm', 'vm', 'shared', 'private', 'memfd', 'eventfd', 'none'] as const;
export type FileName = (typeof FILES)[number];
export const MAPPINGS = ['shared', 'private', 'memfd'] as const;
export type MappingName = (typeof MAPPINGS)[number];

export interface Side {
  readonly syscalls: Syscalls;
  readonly fds: Readonly<Record<FileName, number>>;
  readonly addresses: Readonly<Record<MappingName, bigint>>;
  close(): void;
}

export function openSide(syscalls: Syscalls): Side {
  const kvm = syscalls.openSync('/dev/kvm', O_RDWR);
  const vm = syscalls.ioctlFdSync(kvm, KVM_CREATE_VM.request, 0);
  const guestMemfd = (flags: bigint) => {
    const struct = KVM_CREATE_GUEST_MEMFD.struct.encode({ size: GUEST_BYTES, flags });
    return syscalls.ioctlFdSync(vm, KVM_CREATE_GUEST_MEMFD.request, struct);
  };
  const memfd = syscalls.memfdCreateSync('twin', 0);
  syscalls.ftruncateSync(memfd, BigInt(GUEST_BYTES + 100));
  const eventfd = syscalls.eventfdSync(0, EFD_NONBLOCK);
  const fds = { kvm, vm, shared: guestMemfd(3n), private: guestMemfd(1n), memfd, eventfd, none: 1_000_000 };
  const map = (fd: number) => syscalls.mmapSync(MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0n);
  const addresses = { shared: map(fds.shared), private: map(fds.private), memfd: map(memfd) };
  return {
    syscalls,
    fds,
    addresses,
    close: () => {
      for (const address of Object.values(addresses)) syscalls.munmapSync(address, MAPPED);
      for (const name of FILES) if (name !== 'none') syscalls.closeSync(fds[name]);
      syscalls.dispose();
    },
  };
}

/** A call made on one side: everything that can be seen of it afterwards. */
export interface Seen {
  readonly answer: unknown;
  readonly bytes: Uint8Array | undefined;
}
export type TwinCall = (side: Side) => Seen;

const seen = (answer: unknown, bytes?: Uint8Array): Seen => ({ answer, bytes });

/** New fds have other numbers on either side; that there is one is what counts. */
function newFd(side: Side, fd: number): number | 'an fd' {
  if (fd < 0) return fd;
  side.syscalls.closeSync(fd);
  return 'an fd';
}

export const twin = {
  ioctl: (file: FileName, request: number, arg: IoctlArg): TwinCall => {
    return ({ syscalls, fds }) => {
      const own = arg instanceof Uint8Array ? arg.slice() : arg;
      return seen(syscalls.ioctlSync(fds[file], request, own), own instanceof Uint8Array ? own : undefined);
    };
  },
  ioctlFd: (file: FileName, request: number, arg: IoctlArg): TwinCall => {
    return (side) => {
      const own = arg instanceof Uint8Array ? arg.slice() : arg;
      const fd = side.syscalls.ioctlFdSync(side.fds[file], request, own);
      return seen(newFd(side, fd), own instanceof Uint8Array ? own : undefined);
    };
  },
  ioctlMany: (file: FileName, request: number, values: readonly bigint[]): TwinCall => {
    return ({ syscalls, fds }) => seen(syscalls.ioctlManySync(fds[file], request, new BigUint64Array(values)));
  },
  patched: (file: FileName, request: number, struct: Uint8Array, at: number): TwinCall => {
    return ({ syscalls, fds }) => {
      const own = struct.slice();
      return seen(syscalls.ioctlSync(fds[file], request, own, [{ at, to: new Uint8Array(16) }]), own);
    };
  },
  fstat: (file: FileName): TwinCall => {
    return ({ syscalls, fds }) => {
      const stat = syscalls.fstatSync(fds[file]);
      return seen(typeof stat === 'number' ? stat : ({ ...stat, ino: 0n } satisfies Stat));
    };
  },
  dup: (file: FileName): TwinCall => {
    return (side) => seen(newFd(side, side.syscalls.dupSync(side.fds[file])));
  },
  ftruncate: (file: FileName, length: bigint): TwinCall => {
    return ({ syscalls, fds }) => seen(syscalls.ftruncateSync(fds[file], length));
  },
  fallocate: (file: FileName, mode: number, offset: bigint, length: bigint): TwinCall => {
    return ({ syscalls, fds }) => seen(syscalls.fallocateSync(fds[file], mode, offset, length));
  },
  transfer: (name: 'read' | 'write', file: FileName, bytes: Uint8Array): TwinCall => {
    return ({ syscalls, fds }) => {
      const own = bytes.slice();
      return seen(syscalls[`${name}Sync`](fds[file], own), own);
    };
  },
  transferAt: (name: 'pread' | 'pwrite', file: FileName, bytes: Uint8Array, offset: bigint): TwinCall => {
    return ({ syscalls, fds }) => {
      const own = bytes.slice();
      return seen(syscalls[`${name}Sync`](fds[file], own, offset), own);
    };
  },
  copy: (name: 'copyIn' | 'copyOut', mapping: MappingName, offset: number, bytes: Uint8Array): TwinCall => {
    return ({ syscalls, addresses }) => {
      const own = bytes.slice();
      return seen(syscalls[`${name}Sync`](addresses[mapping] + BigInt(offset), own), own);
    };
  },
  madvise: (mapping: MappingName, page: number, pages: number, advice: number): TwinCall => {
    return ({ syscalls, addresses }) =>
      seen(syscalls.madviseSync(addresses[mapping] + BigInt(page * PAGE), pages * PAGE, advice));
  },
  mmap: (file: FileName, length: number, prot: number, flags: number, offset: bigint): TwinCall => {
    return ({ syscalls, fds }) => {
      const address = syscalls.mmapSync(length, prot, flags, fds[file], offset);
      if (address < 0n) return seen(address);
      return seen(['mapped', syscalls.munmapSync(address, length)]);
    };
  },
};

const file = fc.constantFrom(...FILES);
const mapping = fc.constantFrom(...MAPPINGS);
/** Where things happen, and the far ends. None makes a file grow by more than a megabyte. */
const position = fc.oneof(
  fc.integer({ min: 0, max: 8 }).map((page) => BigInt(page * PAGE)),
  fc.bigInt({ min: -5n, max: BigInt(6 * PAGE) }),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 63n - BigInt(PAGE)),
);
const bytes = fc.uint8Array({ minLength: 0, maxLength: 80 });
const structs = ioctls.filter(({ ioctl }) => ioctl.struct !== undefined);
/** A struct of small numbers and page multiples: what a kernel looks at twice. */
const word = fc.oneof(
  fc.constantFrom(0n, 1n, 3n, 4n, 8n),
  fc.integer({ min: 0, max: 8 }).map((page) => BigInt(page * PAGE)),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const structCall = fc.constantFrom(...structs).chain(({ ioctl }) => {
  const size = ioctl.struct?.size ?? 0;
  return fc
    .tuple(file, fc.array(word, { minLength: Math.ceil(size / 8), maxLength: Math.ceil(size / 8) }))
    .map(([on, words]) => ({
      on,
      request: ioctl.request,
      struct: new Uint8Array(new BigUint64Array(words).buffer).slice(0, size),
    }));
});
const plainRequest = fc.constantFrom(0xae00, 0xae03, 0xaefe, 0xaffe, 0x5413);

export const anyCall: fc.Arbitrary<TwinCall> = fc.oneof(
  structCall.map(({ on, request, struct }) => twin.ioctlFd(on, request, struct)),
  fc.tuple(structCall, fc.nat(3)).map(([{ on, request, struct }, at]) => twin.patched(on, request, struct, at * 8)),
  fc.tuple(file, plainRequest, fc.nat(300)).map((args) => twin.ioctl(...args)),
  fc.tuple(file, fc.constantFrom(0xae03, 0xaefe), fc.array(fc.bigInt(0n, 300n))).map((args) => twin.ioctlMany(...args)),
  file.map(twin.fstat),
  file.map(twin.dup),
  fc.tuple(file, position).map((args) => twin.ftruncate(...args)),
  fc.tuple(file, fc.nat(7), position, position).map((args) => twin.fallocate(...args)),
  fc.tuple(fc.constantFrom('read' as const, 'write' as const), file, bytes).map((args) => twin.transfer(...args)),
  fc
    .tuple(fc.constantFrom('pread' as const, 'pwrite' as const), file, bytes, position)
    .map((args) => twin.transferAt(...args)),
  fc
    .tuple(fc.constantFrom('copyIn' as const, 'copyOut' as const), mapping, fc.nat(MAPPED - 80), bytes)
    .map((args) => twin.copy(...args)),
  fc.tuple(mapping, fc.nat(3), fc.nat(2), fc.constantFrom(0, 4, 22, 23, 99)).map((args) => twin.madvise(...args)),
  fc.tuple(file, fc.nat(3 * PAGE), fc.nat(7), fc.constantFrom(0, 1, 2, 3), position).map((args) => twin.mmap(...args)),
);
