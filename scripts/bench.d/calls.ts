/** The few calls the operations need, by each of the JavaScript libraries. A negative answer is a failure. */

import type { Syscalls } from '../../lib/index.ts';
import { loadBackends } from './dist.ts';

/** What an ioctl is given (a value or a struct) and answers (an fd) is told apart for libraries that need to know. */
export interface Calls {
  open(path: string, flags: number): number;
  ioctlValue(fd: number, request: number, value: number): number;
  ioctlStruct(fd: number, request: number, struct: Uint8Array): number;
  ioctlFd(fd: number, request: number, arg: Uint8Array): number;
  fallocate(fd: number, mode: number, offset: bigint, length: bigint): number;
  close(fd: number): number;
  readonly ioctlMany?: Syscalls['ioctlManySync'];
  /** The errno of a call that just gave this answer. */
  errnoOf(answer: number): number;
}

export async function openSyscalls(backend: 'native' | 'ffi'): Promise<Syscalls> {
  return (await loadBackends()).openBackend(backend);
}

export const backendCalls = (syscalls: Syscalls): Calls => ({
  open: syscalls.openSync,
  ioctlValue: syscalls.ioctlSync,
  ioctlStruct: syscalls.ioctlSync,
  ioctlFd: syscalls.ioctlFdSync,
  fallocate: syscalls.fallocateSync,
  close: syscalls.closeSync,
  ioctlMany: syscalls.ioctlManySync,
  errnoOf: (answer) => -answer,
});

/**
 * libc through koffi, nothing around it. ioctl's third argument is declared as what it is each time: where KVM runs,
 * integers and pointers are passed alike in variadic calls and others, and koffi's variadic calls are slower.
 */
export async function koffiCalls(): Promise<Calls> {
  const { default: koffi } = await import('koffi');
  const libc = koffi.load(null);
  const ioctlStruct = libc.func('ioctl', 'int', ['int', 'ulong', 'void *']);
  return {
    open: libc.func('open', 'int', ['str', 'int']),
    ioctlValue: libc.func('ioctl', 'int', ['int', 'ulong', 'ulong']),
    ioctlStruct,
    ioctlFd: ioctlStruct,
    fallocate: libc.func('fallocate', 'int', ['int', 'int', 'int64', 'int64']),
    close: libc.func('close', 'int', ['int']),
    errnoOf: () => koffi.errno(),
  };
}
