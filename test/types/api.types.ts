/** What the compiler must know of the API, and what it must refuse. Checked by `tsc --noEmit`; never run. */

import { expectTypeOf } from 'vitest';
import {
  type ErrnoName,
  io,
  iowr,
  KVM_CHECK_EXTENSION,
  KVM_CREATE_GUEST_MEMFD,
  KVM_GMEM_CONVERT_PRIVATE,
  KVM_SET_MEMORY_ATTRIBUTES,
  KVM_SET_USER_MEMORY_REGION2,
  struct,
  u32,
  u64,
} from '../../lib/abi/index.ts';
import {
  type Features,
  type GuestMemfd,
  type Host,
  isKernelError,
  type KernelError,
  type Mapping,
  type MemoryRegion,
  type Result,
  type Vm,
} from '../../lib/index.ts';

export async function ioctlFieldsAreInferred({ raw }: Host, vm: Vm): Promise<void> {
  const created = await raw.ioctl(vm, KVM_CREATE_GUEST_MEMFD, { size: 0x1000, flags: 1n });
  expectTypeOf(created.ret).toEqualTypeOf<number>();
  expectTypeOf(created.out).toEqualTypeOf<{ size: bigint; flags: bigint; reserved: bigint[] }>();
  expectTypeOf(raw.ioctlSync(vm, KVM_SET_USER_MEMORY_REGION2, { slot: 1 }).out.slot).toEqualTypeOf<number>();
  expectTypeOf((await raw.ioctl(vm, KVM_CHECK_EXTENSION, 3)).out).toEqualTypeOf<undefined>();

  const answer = await raw.tryIoctl(vm, KVM_GMEM_CONVERT_PRIVATE, { offset: 0, size: 4096n });
  expectTypeOf(answer.out.error_offset).toEqualTypeOf<bigint>();
  if (!answer.ok) expectTypeOf(answer.code).toEqualTypeOf<ErrnoName>();
  if (answer.ok) expectTypeOf(answer).not.toHaveProperty('code');

  const many = await raw.ioctlMany(vm, KVM_SET_MEMORY_ATTRIBUTES, [{ address: 0n, size: 1 }]);
  expectTypeOf(many.outs[0]?.attributes).toEqualTypeOf<bigint | undefined>();

  const bytes = new Uint8Array(64);
  expectTypeOf((await raw.ioctl(vm, 0xae01, bytes)).out).toEqualTypeOf<Uint8Array<ArrayBuffer>>();

  const mine = iowr('vm', 0xae, 0xf0, struct('mine', { count: u32, where: u64 }));
  expectTypeOf((await raw.ioctl(vm, mine, { where: 5 })).out).toEqualTypeOf<{ count: number; where: bigint }>();
  expectTypeOf((await raw.ioctl(vm, io('vm', 0xae, 0xf1))).out).toEqualTypeOf<undefined>();
}

export async function wrongUseDoesNotCompile(host: Host, vm: Vm, gmem: GuestMemfd): Promise<void> {
  // @ts-expect-error a misspelt field
  await host.raw.ioctl(vm, KVM_CREATE_GUEST_MEMFD, { sise: 1n });
  // @ts-expect-error a u32 is a number
  await host.raw.ioctl(vm, KVM_SET_USER_MEMORY_REGION2, { slot: 1n });
  // @ts-expect-error fields for a request that takes a value
  await host.raw.ioctl(vm, KVM_CHECK_EXTENSION, { size: 1n });
  // @ts-expect-error bigints are not passed by value to an unknown request
  await host.raw.ioctl(vm, 0xae03, 1n);
  // @ts-expect-error a misspelt option
  await vm.createGuestMemfd({ size: 0x1000, map: true });
  // @ts-expect-error size is not optional
  await vm.createGuestMemfd({ mmap: true });
  // @ts-expect-error no such state
  await gmem.convert({ offset: 0, size: 0x1000, to: 'secret' });
  // @ts-expect-error the direction is not optional
  await gmem.convert({ offset: 0, size: 0x1000 });
  // @ts-expect-error one of to and attributes
  await vm.setMemoryAttributes({ address: 0, size: 0x1000, to: 'private', attributes: 8n });
  // @ts-expect-error neither
  await vm.setMemoryAttributes({ address: 0, size: 0x1000 });
  // @ts-expect-error no such type
  await host.createVm({ type: 'pkvm' });
  // @ts-expect-error no such capability
  await vm.checkExtension('KVM_CAP_NONE');
  // @ts-expect-error the fd stays the object's own
  gmem.fd = 3;
}

export async function resultsAreDiscriminated(gmem: GuestMemfd, mapping: Mapping): Promise<void> {
  const mapped = await gmem.tryMap();
  expectTypeOf(mapped).toEqualTypeOf<Result<Mapping>>();
  if (mapped.ok) expectTypeOf(mapped.value).toEqualTypeOf<Mapping>();
  else expectTypeOf(mapped).toMatchTypeOf<{ code: ErrnoName; errno: number; error: KernelError }>();
  expectTypeOf(await mapping.read(0, 1)).toEqualTypeOf<Uint8Array>();
  expectTypeOf(await mapping.tryWrite(0, Buffer.from('x'))).toEqualTypeOf<Result<void>>();
  expectTypeOf(mapping.address).toEqualTypeOf<bigint>();
  expectTypeOf((await gmem.stat()).size).toEqualTypeOf<bigint>();
}

export function guardsNarrow(error: unknown): void {
  if (isKernelError(error)) expectTypeOf(error.code).toEqualTypeOf<ErrnoName>();
  if (isKernelError(error, 'EAGAIN', 'ENOMEM')) expectTypeOf(error.code).toEqualTypeOf<'EAGAIN' | 'ENOMEM'>();
}

export function objectsAreDisposable(objects: [Host, Vm, GuestMemfd, Mapping, MemoryRegion]): AsyncDisposable[] {
  return objects;
}

export function featuresHaveEveryCapability({ capabilities, createFlags }: Features): void {
  expectTypeOf(capabilities.KVM_CAP_GUEST_MEMFD).toEqualTypeOf<number>();
  expectTypeOf(createFlags.snp?.bits).toEqualTypeOf<bigint | undefined>();
  // @ts-expect-error no such capability
  capabilities.KVM_CAP_NONE;
}
