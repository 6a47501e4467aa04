/** TypeScript knows every field of every ioctl from its declaration. Checked by tsc; the assertions run nothing. */

import { expectTypeOf, test } from 'vitest';
import {
  array,
  type IoctlIn,
  type IoctlOut,
  iowr,
  type KVM_CREATE_VM,
  type KVM_ENABLE_CAP,
  type KVM_GMEM_CONVERT_PRIVATE,
  struct,
  u16,
  u64,
} from '../../lib/abi/index.ts';

test('a struct reads as bigints and numbers', () => {
  expectTypeOf<IoctlOut<typeof KVM_GMEM_CONVERT_PRIVATE>>().toEqualTypeOf<{
    offset: bigint;
    size: bigint;
    error_offset: bigint;
    reserved: bigint[];
  }>();
  expectTypeOf<IoctlOut<typeof KVM_ENABLE_CAP>['cap']>().toEqualTypeOf<number>();
});

test('a struct is written with either, and with only the fields that matter', () => {
  type In = IoctlIn<typeof KVM_GMEM_CONVERT_PRIVATE>;
  expectTypeOf<In['offset']>().toEqualTypeOf<number | bigint | undefined>();
  expectTypeOf<{ size: 4096 }>().toExtend<In>();
  expectTypeOf<{ size: string }>().not.toExtend<In>();
});

test('an ioctl without a struct takes a number and leaves nothing', () => {
  expectTypeOf<IoctlIn<typeof KVM_CREATE_VM>>().toEqualTypeOf<number | bigint>();
  expectTypeOf<IoctlOut<typeof KVM_CREATE_VM>>().toEqualTypeOf<undefined>();
});

test('a new ioctl is one declaration', () => {
  const GMEM_PEEK = iowr('guest-memfd', 0xaf, 0x43, struct('gmem_peek', { id: u16, at: array(u64, 2) }));
  expectTypeOf<IoctlOut<typeof GMEM_PEEK>>().toEqualTypeOf<{ id: number; at: bigint[] }>();
});
