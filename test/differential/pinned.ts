/** Holding pages as a device would: through gup_test on a real kernel, by the mock's own means on it. */

import {
  GUP_TEST_PATH,
  PIN_LONGTERM_TEST_FLAG_USE_WRITE,
  PIN_LONGTERM_TEST_READ,
  PIN_LONGTERM_TEST_START,
} from '../../lib/abi/gup-test.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, O_CLOEXEC, O_RDWR, PROT_READ, PROT_WRITE } from '../../lib/abi/linux.ts';
import type { MockControls } from '../../lib/mock/index.ts';
import type { Syscalls } from '../../lib/syscalls/seam.ts';

export interface Pinned {
  read(): Uint8Array;
  release(): void;
}

/** -errno where the pages cannot be pinned. */
export function pinAt(syscalls: Syscalls, addr: bigint, size: number): Pinned | number {
  const file = syscalls.openSync(GUP_TEST_PATH, O_RDWR | O_CLOEXEC);
  if (file < 0) throw new Error(`${GUP_TEST_PATH} no longer opens: ${file}`);
  const { request, struct } = PIN_LONGTERM_TEST_START;
  const ret = syscalls.ioctlSync(file, request, struct.encode({ addr, size, flags: PIN_LONGTERM_TEST_FLAG_USE_WRITE }));
  const release = (): void => void syscalls.closeSync(file);
  if (ret < 0) {
    release();
    return ret;
  }
  return { read: () => pinnedBytes(syscalls, file, size), release };
}

function pinnedBytes(syscalls: Syscalls, file: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const address = syscalls.mmapSync(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0n);
  const { request, struct } = PIN_LONGTERM_TEST_READ;
  const ret = syscalls.ioctlSync(file, request, struct.encode({ address }));
  syscalls.copyOutSync(address, bytes);
  syscalls.munmapSync(address, size);
  if (ret < 0) throw new Error(`PIN_LONGTERM_TEST_READ answers ${ret}`);
  return bytes;
}

/** The mock names the pages by their file. */
export function pinInMock(mock: MockControls, fd: number, offset: bigint, size: number): Pinned | number {
  try {
    return mock.pin(fd, offset, size);
  } catch (error) {
    const { errno } = error as { errno?: unknown };
    if (typeof errno === 'number') return errno;
    throw error;
  }
}
