/** Lines as Linux 7.3 prints them. */

import { describe, expect, it } from 'vitest';
import { parseEvent } from '../../lib/trace/event.ts';

describe('a line of a trace', () => {
  it('says what, in which thread, with which values', () => {
    const line =
      '            node-99      [000] .....            8: ioctl_1: (kvm_gmem_ioctl+0x4/0x500) file=0xffff888000f0c3c0 request=3225464642 attributes=0';
    expect(parseEvent(line)).toEqual({
      name: 'ioctl',
      thread: 99,
      values: { file: 0xffff_8880_00f0_c3c0n, request: 0xc040_af42n, attributes: 0n },
    });
  });

  it('has a name with underscores, a number behind it, and a caller where a function ends', () => {
    const line =
      ' a b-c [d]-7  [012] d..1. 90.5: check_ends_12: (kvm_gmem_ioctl+0x242/0x500 <- kvm_gmem_is_unused) unused=0 held=5';
    expect(parseEvent(line)).toEqual({ name: 'check_ends', thread: 7, values: { unused: 0n, held: 5n } });
  });

  it('has negative values, and values that could not be read', () => {
    const { values } = parseEvent('x-1 [000] ..... 1: ioctl_ends_1: (a+0x0/0x1 <- b) result=-11 attributes=(fault)');
    expect(values).toEqual({ result: -11n, attributes: undefined });
  });

  it('is refused when it is something else', () => {
    expect(() => parseEvent('CPU:0 [LOST 3 EVENTS]')).toThrow('CPU:0 [LOST 3 EVENTS]');
  });
});
