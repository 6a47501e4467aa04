/** Files: the handle that owns one, and everything that stands for one in an argument. */

import { checkInteger, wrongType } from '../abi/invalid.ts';
import type { Syscalls } from '../syscalls/seam.ts';
import { checkReleased, Handle } from './handle.ts';

export class OwnedFd extends Handle {
  readonly number: number;

  constructor(syscalls: Syscalls, what: string, fd: number) {
    super(`${what} (fd ${fd})`, async () => checkReleased({ syscall: 'close', fd }, await syscalls.close(fd)));
    this.number = fd;
  }
}

/** An fd's number, or an object that has one: a Host, Vm or GuestMemfd. */
export type FdLike = number | { readonly fd: number };

const INT_MAX = 0x7fff_ffff;

/** @throws ClosedError when it is an object of this package that was closed. */
export function fdNumber(value: FdLike): number {
  const fd: unknown = typeof value === 'object' && value !== null ? value.fd : value;
  if (typeof fd !== 'number') throw wrongType('fd', 'a number or an object with an fd', value);
  return checkInteger('fd', fd, 0, INT_MAX);
}
