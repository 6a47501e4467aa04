/**
 * Failing one allocation of a call: on the mock by a planned fault, on a real kernel by its own fault injection, which
 * counts the allocations of one thread. The call is made synchronously, on that very thread.
 *
 * Source: Documentation/fault-injection/fault-injection.rst, "Using /proc/<pid>/task/<tid>/fail-nth".
 */

import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { O_CLOEXEC, O_RDWR } from '../abi/index.ts';
import type { Host } from '../kvm/index.ts';

const FAIL_NTH = '/proc/self/fail-nth';
const DEBUGFS = '/sys/kernel/debug';
/** As they must be for ordinary allocations to count: those that may sleep, single pages, and pages for users. */
const SETTINGS: Readonly<Record<string, string>> = {
  [`${DEBUGFS}/failslab/ignore-gfp-wait`]: 'N',
  [`${DEBUGFS}/fail_page_alloc/ignore-gfp-wait`]: 'N',
  [`${DEBUGFS}/fail_page_alloc/ignore-gfp-highmem`]: 'N',
  [`${DEBUGFS}/fail_page_alloc/min-order`]: '0',
};

export const FAIL_NTH_FIX =
  'needs CONFIG_FAULT_INJECTION_DEBUG_FS, CONFIG_FAILSLAB and CONFIG_FAIL_PAGE_ALLOC, ' +
  `debugfs (mount -t debugfs debugfs ${DEBUGFS}) and root`;

/** Why a real kernel fails no allocation on demand; undefined where it does. */
export function whyNoFailNth(): string | undefined {
  for (const path of [FAIL_NTH, ...Object.keys(SETTINGS)]) {
    try {
      accessSync(path, constants.R_OK | constants.W_OK);
    } catch (error) {
      return `${path}: ${(error as NodeJS.ErrnoException).code}; ${FAIL_NTH_FIX}`;
    }
  }
  return undefined;
}

/** A call of which some allocation can be made to fail. */
export interface FailNth {
  /** Makes the call with its nth allocation failing; `failed`: whether it came to that many. */
  during<R>(nth: number, call: () => R): { readonly result: R; readonly failed: boolean };
  close(): void;
}

export const openFailNth = ({ mock, raw }: Host): FailNth => (mock ? planned(mock.faults) : injected(raw.syscalls));

function planned(faults: NonNullable<Host['mock']>['faults']): FailNth {
  return {
    during: (nth, call) => {
      faults.reset();
      faults.failAllocation(nth);
      const result = call();
      const failed = faults.allocations >= nth;
      faults.reset();
      return { result, failed };
    },
    close: () => faults.reset(),
  };
}

function injected(syscalls: Host['raw']['syscalls']): FailNth {
  const before = Object.keys(SETTINGS).map((path) => [path, readFileSync(path, 'latin1')] as const);
  for (const [path, value] of Object.entries(SETTINGS)) writeFileSync(path, value);
  // Open beforehand, so that between writing the number and the call there is nothing but the call.
  const fd = syscalls.openSync(FAIL_NTH, O_RDWR | O_CLOEXEC);
  if (fd < 0) throw new Error(`${FAIL_NTH} does not open: ${fd}`);
  const text = new Uint8Array(32);
  const off = new TextEncoder().encode('0');
  return {
    during: (nth, call) => {
      const bytes = new TextEncoder().encode(String(nth));
      syscalls.pwriteSync(fd, bytes, 0n);
      const result = call();
      const length = syscalls.preadSync(fd, text, 0n);
      syscalls.pwriteSync(fd, off, 0n);
      // What is left of the number: 0 once the failure has happened.
      return { result, failed: Number(new TextDecoder().decode(text.subarray(0, Math.max(length, 0)))) === 0 };
    },
    close: () => {
      syscalls.closeSync(fd);
      for (const [path, value] of before) writeFileSync(path, value.trim());
    },
  };
}
