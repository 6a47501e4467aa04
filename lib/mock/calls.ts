/** The seam's calls, answered by the mock kernel for one process. */

import { errno } from '../abi/errno.ts';
import { checkBytes } from '../abi/invalid.ts';
import { requestSize } from '../abi/ioctl.ts';
import { MAP_ANONYMOUS } from '../abi/linux.ts';
import * as check from '../syscalls/arguments.ts';
import { Mappings } from '../syscalls/mappings.ts';
import type { Calls, IoctlArg, ManyResult, Pointer, Stat } from '../syscalls/seam.ts';
import type { Machine } from './kvm/index.ts';
import { openPath } from './paths.ts';
import { bufferArgument, EventFile, MemFile, type MockFile, numberArgument, type UserMemory } from './process/index.ts';
import { withPointers } from './process/pointers.ts';
import { refusesFallocate, refusesPositioned } from './process/vfs.ts';
import { HeldOff } from './restart.ts';

export class MockCalls implements Calls {
  /** Those that were made here. */
  readonly mappings = new Mappings();
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** A call that would have to wait for another call of this thread answers EAGAIN. */
  ioctl(fd: number, request: number, arg: IoctlArg, pointers?: readonly Pointer[]): number {
    try {
      return this.ioctlOnce(fd, request, arg, pointers);
    } catch (error) {
      if (error instanceof HeldOff) return -errno.EAGAIN;
      throw error;
    }
  }

  /** @throws HeldOff for a call that must be made again later. */
  ioctlOnce(fd: number, request: number, arg: IoctlArg, pointers?: readonly Pointer[]): number {
    check.checkFd(fd);
    const user = this.#userMemory(request, check.checkIoctlArg(request, arg));
    const fixups = check.checkPointers(request, arg, pointers);
    const file = this.#machine.fds.get(fd);
    if (!file) return -errno.EBADF;
    const act = (): number => file.ioctl(request, user);
    const answer = fixups.length === 0 ? act() : withPointers(this.#machine, arg, fixups, act);
    return this.#machine.restarts.check(answer);
  }

  ioctlFd(fd: number, request: number, arg: IoctlArg, pointers?: readonly Pointer[]): number {
    return this.ioctl(fd, request, arg, pointers);
  }

  ioctlMany(fd: number, request: number, args: Uint8Array | BigUint64Array): ManyResult {
    check.checkFd(fd);
    const count = check.checkMany(request, args);
    const size = requestSize(request);
    let result = 0;
    for (let completed = 0; completed < count; completed++) {
      const user =
        args instanceof BigUint64Array
          ? numberArgument(args[completed]!)
          : bufferArgument(args.subarray(completed * size, (completed + 1) * size));
      result = this.#on(fd, (file) => file.ioctl(request, user));
      if (result < 0) return { completed, result };
    }
    return { completed: count, result };
  }

  #userMemory(request: number, arg: IoctlArg): UserMemory {
    if (typeof arg === 'number') return numberArgument(BigInt(arg));
    if (arg instanceof Uint8Array) return bufferArgument(arg);
    this.mappings.checkInside(arg.address, requestSize(request));
    return this.#machine.addressSpace.argumentAt(arg.address);
  }

  #on<T>(fd: number, act: (file: MockFile) => T): T | number {
    const file = this.#machine.fds.get(check.checkFd(fd));
    return file ? act(file) : -errno.EBADF;
  }

  open(path: string, flags: number): number {
    check.checkText('path', path);
    check.checkFlags('flags', flags);
    const file = openPath(this.#machine, path, flags);
    return typeof file === 'number' ? file : this.#machine.fds.install(file);
  }

  close(fd: number): number {
    return this.#machine.fds.close(check.checkFd(fd));
  }

  dup(fd: number): number {
    return this.#on(fd, (file) => this.#machine.fds.install(file));
  }

  memfdCreate(name: string, flags: number): number {
    check.checkText('name', name);
    check.checkFlags('flags', flags);
    return this.#machine.fds.install(new MemFile(this.#machine.nextNumber(), this.#machine.memory));
  }

  eventfd(initial: number, flags: number): number {
    check.checkFlags('initial', initial);
    return this.#machine.fds.install(new EventFile(initial, check.checkFlags('flags', flags)));
  }

  fstat(fd: number): Stat | number {
    return this.#on(fd, (file) => file.stat());
  }

  ftruncate(fd: number, length: bigint): number {
    check.checkOffset('length', length);
    return this.#on(fd, (file) => (length < 0n ? -errno.EINVAL : file.truncate(length)));
  }

  fallocate(fd: number, mode: number, offset: bigint, length: bigint): number {
    check.checkFlags('mode', mode);
    check.checkOffset('offset', offset);
    check.checkOffset('length', length);
    return this.#on(fd, (file) => refusesFallocate(file, mode, offset, length) || file.fallocate(mode, offset, length));
  }

  read(fd: number, bytes: Uint8Array): number {
    checkBytes('bytes', bytes);
    return this.#on(fd, (file) => file.read(bytes));
  }

  write(fd: number, bytes: Uint8Array): number {
    checkBytes('bytes', bytes);
    return this.#on(fd, (file) => file.write(bytes));
  }

  pread(fd: number, bytes: Uint8Array, offset: bigint): number {
    checkBytes('bytes', bytes);
    check.checkOffset('offset', offset);
    return this.#on(fd, (file) => refusesPositioned(file, offset) || file.read(bytes, offset));
  }

  pwrite(fd: number, bytes: Uint8Array, offset: bigint): number {
    checkBytes('bytes', bytes);
    check.checkOffset('offset', offset);
    return this.#on(fd, (file) => refusesPositioned(file, offset) || file.write(bytes, offset));
  }

  mmap(length: number, prot: number, flags: number, fd: number, offset: bigint): bigint {
    check.checkLength(length);
    check.checkFlags('prot', prot);
    check.checkMapFlags(flags);
    check.checkMapFd(fd);
    check.checkOffset('offset', offset);
    const file = flags & MAP_ANONYMOUS ? undefined : this.#machine.fds.get(fd);
    const address = this.#machine.addressSpace.map({ length, prot, flags, file, offset });
    if (address >= 0n) this.mappings.add(address, length);
    return address;
  }

  munmap(address: bigint, length: number): number {
    this.mappings.remove(address, length);
    return this.#machine.addressSpace.unmap(address);
  }

  madvise(address: bigint, length: number, advice: number): number {
    check.checkFlags('advice', advice);
    this.mappings.checkInside(address, length);
    return this.#machine.addressSpace.madvise(address, length, advice);
  }

  copyIn(address: bigint, bytes: Uint8Array): number {
    this.mappings.checkInside(address, checkBytes('bytes', bytes).length);
    return this.#machine.addressSpace.copyIn(address, bytes);
  }

  copyOut(address: bigint, bytes: Uint8Array): number {
    this.mappings.checkInside(address, checkBytes('bytes', bytes).length);
    return this.#machine.addressSpace.copyOut(address, bytes);
  }
}
