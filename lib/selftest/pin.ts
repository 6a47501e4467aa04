/** References on pages from outside, as a device's DMA pin: from the mock, or from a kernel with CONFIG_GUP_TEST. */

import { accessSync, constants } from 'node:fs';
import {
  GUP_TEST_PATH,
  PIN_LONGTERM_TEST_FLAG_USE_WRITE,
  PIN_LONGTERM_TEST_READ,
  PIN_LONGTERM_TEST_START,
} from '../abi/gup-test.ts';
import {
  errnoName,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  O_CLOEXEC,
  O_RDWR,
  PROT_READ,
  PROT_WRITE,
} from '../abi/index.ts';
import type { GuestMemfd, Host } from '../kvm/index.ts';
import type { Pin } from '../mock/index.ts';
import type { Syscalls } from '../syscalls/seam.ts';
import { bytesOf } from './huge-size.ts';

export const GUP_TEST_FIX = 'needs CONFIG_GUP_TEST=y, debugfs (mount -t debugfs debugfs /sys/kernel/debug) and root';

/** Why a real kernel gives no pins; undefined where it does. */
export function whyNoPins(): string | undefined {
  try {
    accessSync(GUP_TEST_PATH, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    return `${GUP_TEST_PATH}: ${(error as NodeJS.ErrnoException).code}; ${GUP_TEST_FIX}`;
  }
}

/** Pins pages that the host can touch. @throws Error naming the step that was refused */
export function pinPages(host: Host, gmem: GuestMemfd, offset: bigint, size: number): Pin {
  return host.mock ? host.mock.pin(gmem.fd, offset, size) : gupTestPin(host.raw.syscalls, gmem, offset, size);
}

function gupTestPin(syscalls: Syscalls, gmem: GuestMemfd, offset: bigint, size: number): Pin {
  const { fd, hugePageSize } = gmem;
  // Of huge pages only whole ones can be mapped; the pin is as long as it was asked for.
  const length = hugePageSize ? Math.ceil(size / bytesOf(hugePageSize)) * bytesOf(hugePageSize) : size;
  const file = done('open', syscalls.openSync(GUP_TEST_PATH, O_RDWR | O_CLOEXEC));
  try {
    withMapping(syscalls, length, { fd, offset }, (addr) => {
      const { request, struct } = PIN_LONGTERM_TEST_START;
      const arg = struct.encode({ addr, size, flags: PIN_LONGTERM_TEST_FLAG_USE_WRITE });
      done('PIN_LONGTERM_TEST_START', syscalls.ioctlSync(file, request, arg));
    });
  } catch (error) {
    syscalls.closeSync(file);
    throw error;
  }
  let held = true;
  const release = (): void => {
    if (held) syscalls.closeSync(file);
    held = false;
  };
  return { read: () => pinnedBytes(syscalls, file, size), release, [Symbol.dispose]: release };
}

function pinnedBytes(syscalls: Syscalls, file: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  withMapping(syscalls, size, undefined, (address) => {
    const { request, struct } = PIN_LONGTERM_TEST_READ;
    done('PIN_LONGTERM_TEST_READ', syscalls.ioctlSync(file, request, struct.encode({ address })));
    done('copyOut', syscalls.copyOutSync(address, bytes));
  });
  return bytes;
}

/** Runs `use` on memory that is mapped for as long: of a file, or anonymous. */
function withMapping(
  syscalls: Syscalls,
  size: number,
  file: { readonly fd: number; readonly offset: bigint } | undefined,
  use: (address: bigint) => void,
): void {
  const { fd, offset } = file ?? { fd: -1, offset: 0n };
  const flags = file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
  const address = syscalls.mmapSync(size, PROT_READ | PROT_WRITE, flags, fd, offset);
  done('mmap', Number(address));
  try {
    use(address);
  } finally {
    syscalls.munmapSync(address, size);
  }
}

function done(step: string, answer: number): number {
  if (answer < 0) throw new Error(`pinning pages: ${step} answers ${errnoName(answer)}`);
  return answer;
}
