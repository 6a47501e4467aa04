/** Making VMs, guest_memfds and memfds; dup, close, fstat. */

import fc from 'fast-check';
import { KVM_CREATE_GUEST_MEMFD, KVM_CREATE_VM } from '../../../lib/abi/kvm.ts';
import { PAGE_SIZE } from '../../../lib/abi/linux.ts';
import { KVM_CREATE_VCPU } from '../../../lib/abi/vcpu.ts';
import { hex, mostly, pick, which } from '../choices.ts';
import { type Call, command } from '../command.ts';
import { seen } from '../seen.ts';
import type { Side } from '../side.ts';
import type { Fd, FileObject, World } from '../world.ts';

const PAGE = BigInt(PAGE_SIZE);
const OUTSIDE = (1n << 63n) - 1n;

/** A place for one more fd; undefined when all are taken. */
function newFd(world: World, name: string, of: FileObject): { fd: Fd; keep: () => void } | undefined {
  const free = world.fds.indexOf(undefined);
  if (free < 0) return undefined;
  const fd: Fd = { name, of };
  return {
    fd,
    keep: () => {
      world.fds[free] = fd;
    },
  };
}

/** As a text and as a call: `name = call`. */
function making(
  place: { fd: Fd; keep: () => void } | undefined,
  text: string,
  run: (side: Side) => number,
): Call | undefined {
  if (!place) return undefined;
  return {
    text: `${place.fd.name} = ${text}`,
    run: (side) => side.adopt(place.fd, run(side)),
    agreed: ({ ret }) => {
      if (ret >= 0) place.keep();
    },
  };
}

export const createVm = command({
  name: 'create-vm',
  weight: 2,
  choices: fc.record({ type: mostly([0, 1], [2, 3, 4, 5, 6, 31, 32, 33, 0x8000_0000, 0x1_0000_0000], 6), which }),
  expects: () => ['ok', 'EINVAL'],
  prepare(world, { type, which: nth }) {
    if (world.vms.length >= 4) return undefined;
    // A type that this kernel lacks is refused often enough.
    const usual = type < 2 ? pick(world.facts.vmTypes, nth) : type;
    const vm = { kind: 'vm' as const, name: world.name('vm'), type: usual, slots: new Map(), hasGuest: false };
    const call = making(newFd(world, vm.name, vm), `KVM_CREATE_VM(${hex(usual)})`, ({ syscalls, kvm }) =>
      syscalls.ioctlFdSync(kvm, KVM_CREATE_VM.request, usual),
    );
    return (
      call && {
        ...call,
        agreed: (answer) => {
          call.agreed?.(answer);
          if (answer.ret >= 0) world.vms.push(vm);
        },
      }
    );
  },
});

const sizes = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 1, max: 16 }).map((pages) => BigInt(pages) * PAGE) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      0n,
      1n,
      PAGE - 1n,
      PAGE + 1n,
      1n << 40n,
      OUTSIDE - PAGE + 1n,
      1n << 63n,
      (1n << 63n) + PAGE,
      (1n << 64n) - PAGE,
    ),
  },
);

export const createGuestMemfd = command({
  name: 'create-guest-memfd',
  weight: 5,
  choices: fc.record({
    which,
    size: sizes,
    flags: mostly([3n, 1n, 0n, 2n], [4n, 5n, 7n, 8n, 1n << 32n, 1n << 63n, (21n << 58n) | 4n], 12),
    reserved: mostly([0n], [1n, (1n << 64n) - 1n], 6),
  }),
  expects: () => ['ok', 'EINVAL'],
  prepare(world, { which: nth, size, flags, reserved }) {
    const on = world.fd(nth, 'vm');
    if (on?.of.kind !== 'vm') return undefined;
    const gmem = { kind: 'gmem' as const, name: world.name('gmem'), vm: on.of, pages: Number(size / PAGE), flags };
    const values = { size, flags, reserved: [reserved] };
    const struct = KVM_CREATE_GUEST_MEMFD.struct;
    const text = `KVM_CREATE_GUEST_MEMFD(${on.name}, size ${hex(size)}, flags ${hex(flags)}, reserved ${hex(reserved)})`;
    return making(newFd(world, gmem.name, gmem), text, (side) =>
      side.syscalls.ioctlFdSync(side.fd(on), KVM_CREATE_GUEST_MEMFD.request, struct.encode(values)),
    );
  },
});

export const createMemfd = command({
  name: 'memfd-create',
  weight: 1,
  choices: fc.integer({ min: 1, max: 16 }),
  expects: () => ['ok'],
  prepare(world, pages) {
    const memfd = { kind: 'memfd' as const, name: world.name('memfd'), pages };
    return making(newFd(world, memfd.name, memfd), `memfd_create of ${pages} pages`, ({ syscalls }) => {
      const fd = syscalls.memfdCreateSync('differential', 0);
      const ret = syscalls.ftruncateSync(fd, BigInt(pages) * PAGE);
      return ret < 0 ? ret : fd;
    });
  },
});

export const createVcpu = command({
  name: 'create-vcpu',
  weight: 1,
  choices: fc.record({ which, id: mostly([0, 1], [4095, 4096, 0xffff_ffff], 4) }),
  expects: () => ['ok', 'EINVAL', 'EEXIST'],
  prepare(world, { which: nth, id }) {
    const on = world.fd(nth, 'vm');
    if (on?.of.kind !== 'vm') return undefined;
    const vcpu = { kind: 'vcpu' as const, name: world.name('vcpu'), vm: on.of };
    return making(newFd(world, vcpu.name, vcpu), `KVM_CREATE_VCPU(${on.name}, ${id})`, (side) =>
      side.syscalls.ioctlFdSync(side.fd(on), KVM_CREATE_VCPU.request, id),
    );
  },
});

export const dup = command({
  name: 'dup',
  weight: 1,
  choices: fc.record({ which, none: fc.nat(15) }),
  expects: () => ['ok', 'EBADF'],
  prepare(world, { which: nth, none }) {
    const on = none === 15 ? undefined : world.fd(nth);
    if (!on && none !== 15) return undefined;
    const of = on?.of ?? { kind: 'memfd' as const, name: 'none', pages: 0 };
    const place = newFd(world, world.name(`${of.kind}-dup`), of);
    return making(place, `dup(${on?.name ?? 'no such fd'})`, (side) => side.syscalls.dupSync(side.fd(on)));
  },
});

export const close = command({
  name: 'close',
  weight: 2,
  choices: fc.record({ which, none: fc.nat(15) }),
  expects: () => ['ok', 'EBADF'],
  prepare(world, { which: nth, none }) {
    const on = none === 15 ? undefined : world.fd(nth);
    if (!on && none !== 15) return undefined;
    // The last VM stays: without one there is little left to do.
    if (on?.of.kind === 'vm' && world.fds.filter((fd) => fd?.of.kind === 'vm').length === 1) return undefined;
    return {
      text: `close(${on?.name ?? 'no such fd'})`,
      run: (side) => {
        const ret = side.syscalls.closeSync(side.fd(on));
        if (on) side.fds.delete(on);
        return seen(ret);
      },
      agreed: () => {
        if (on) world.fds[world.fds.indexOf(on)] = undefined;
      },
    };
  },
});

export const fstat = command({
  name: 'fstat',
  weight: 2,
  choices: fc.record({ which, none: fc.nat(15) }),
  expects: () => ['ok', 'EBADF'],
  prepare(world, { which: nth, none }) {
    const on = none === 15 ? undefined : world.fd(nth);
    if (!on && none !== 15) return undefined;
    return {
      text: `fstat(${on?.name ?? 'no such fd'})`,
      run: (side) => {
        const stat = side.syscalls.fstatSync(side.fd(on));
        if (typeof stat === 'number') return seen(stat);
        const { mode, nlink, size, blksize, blocks } = stat;
        const note = `mode ${mode.toString(8)} nlink ${nlink} size ${hex(size)} blksize ${blksize} blocks ${blocks}`;
        return { ret: 0, note };
      },
    };
  },
});

export const fileCommands = [createVm, createGuestMemfd, createMemfd, createVcpu, dup, close, fstat];
