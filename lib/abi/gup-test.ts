/**
 * /sys/kernel/debug/gup_test (CONFIG_GUP_TEST): a test's way to hold references on pages as a device's DMA pin does.
 * It is no part of what this package drives, so it is not in the ioctl table. Source: mm/gup_test.h.
 */

import { io, iow } from './ioctl.ts';
import { struct, u32, u64 } from './struct.ts';

export const GUP_TEST_PATH = '/sys/kernel/debug/gup_test';

const GUP_TEST_IO = 0x67;

/** One set of pins for each open file; closing it drops them. */
export const PIN_LONGTERM_TEST_START = iow(
  'gup-test',
  GUP_TEST_IO,
  7,
  struct('pin_longterm_test', { addr: u64, size: u64, flags: u32 }),
);
export const PIN_LONGTERM_TEST_STOP = io('gup-test', GUP_TEST_IO, 8);
/** Copies the pinned pages to the address in the struct. */
export const PIN_LONGTERM_TEST_READ = iow('gup-test', GUP_TEST_IO, 9, struct('pin_longterm_read', { address: u64 }));

export const PIN_LONGTERM_TEST_FLAG_USE_WRITE = 1;
