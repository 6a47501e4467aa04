/** One of the two kernels: what the world's names stand for there. */

import type { StructIoctl } from '../../lib/abi/ioctl.ts';
import type { MockControls } from '../../lib/mock/index.ts';
import type { Syscalls } from '../../lib/syscalls/seam.ts';
import type { GuestOnSide } from './guest.ts';
import type { Pinned } from './pinned.ts';
import { type Seen, seenNew } from './seen.ts';
import type { Mapping, Pin, Place, Vm } from './world.ts';

/** No process has as many open. */
export const NO_SUCH_FD = 1_000_000;

/** A file by the world's name. */
interface Named {
  readonly name: string;
}

interface Mapped {
  readonly address: bigint;
  readonly length: number;
}

export class Side {
  readonly syscalls: Syscalls;
  /** Of /dev/kvm; it stays open from run to run. */
  readonly kvm: number;
  readonly mock: MockControls | undefined;
  /** KVM_GET_SUPPORTED_CPUID's answer, which is the same for every guest. */
  readonly cpuid: Uint8Array;
  readonly fds = new Map<Named, number>();
  readonly mappings = new Map<Mapping, Mapped>();
  readonly pins = new Map<Pin, Pinned>();
  readonly guests = new Map<Vm, GuestOnSide>();
  #scratch = new Uint8Array(0);

  constructor(syscalls: Syscalls, kvm: number, cpuid: Uint8Array, mock?: MockControls) {
    this.syscalls = syscalls;
    this.kvm = kvm;
    this.cpuid = cpuid;
    this.mock = mock;
  }

  /** Room for large answers, the same each time: an answer in it is good until the next. */
  scratch(size: number): Uint8Array {
    if (this.#scratch.length < size) this.#scratch = new Uint8Array(2 * size);
    return this.#scratch.subarray(0, size);
  }

  fd(fd: Named | undefined): number {
    return fd === undefined ? NO_SUCH_FD : this.fds.get(fd)!;
  }

  /** Keeps a new fd under its name. */
  adopt(name: Named, fd: number): Seen {
    if (fd >= 0) this.fds.set(name, fd);
    return seenNew(fd);
  }

  adoptMapping(name: Mapping, address: bigint, length: number): Seen {
    if (address >= 0n) this.mappings.set(name, { address, length });
    return seenNew(address < 0n ? Number(address) : 0);
  }

  address({ mapping, offset }: Place): bigint {
    return (mapping ? this.mappings.get(mapping)!.address : 0n) + offset;
  }

  /** An ioctl on a struct, and whether the struct came back changed. */
  ioctl(fd: number, ioctl: StructIoctl, values: object): Seen {
    const bytes = ioctl.struct.encode(values as never);
    const before = bytes.slice();
    const ret = this.syscalls.ioctlSync(fd, ioctl.request, bytes);
    return Buffer.compare(before, bytes) === 0 ? { ret } : { ret, note: describe(ioctl, bytes) };
  }

  /** Lets go of everything; /dev/kvm stays open. */
  clear(): void {
    for (const pinned of this.pins.values()) pinned.release();
    for (const guest of this.guests.values()) guest.close();
    for (const { address, length } of this.mappings.values()) this.syscalls.munmapSync(address, length);
    for (const fd of this.fds.values()) this.syscalls.closeSync(fd);
    this.pins.clear();
    this.guests.clear();
    this.mappings.clear();
    this.fds.clear();
  }
}

function describe(ioctl: StructIoctl, bytes: Uint8Array): string {
  const values = ioctl.struct.decode(bytes) as Record<string, unknown>;
  const shown = Object.entries(values).filter(([, value]) => typeof value === 'bigint' || typeof value === 'number');
  return shown.map(([name, value]) => `${name} 0x${(value as bigint).toString(16)}`).join(' ');
}
