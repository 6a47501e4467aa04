/**
 * What every caller does, in numbers. They come from the package's ABI table, so that the C and the Python program
 * need no kernel headers and cannot disagree with it.
 */

import type { Dialect } from '../../lib/abi/index.ts';
import type { Features } from '../../lib/index.ts';
import { loadAbi, loadHostParts } from './dist.ts';

/** An ioctl on a struct: its bytes. */
export interface StructCall {
  readonly request: number;
  readonly struct: readonly number[];
}

export interface Work {
  readonly createVm: { readonly request: number; readonly type: number };
  readonly check: { readonly request: number; readonly value: number };
  readonly create: StructCall;
  /** fallocate() at offset 0 of an empty file. */
  readonly punch: { readonly mode: number; readonly length: number };
  /** How many calls go into one crossing, and how many are in flight at once. */
  readonly batch: number;
  /** By turns, to shared and to private, on a file that has its pages. Left out where the kernel converts nothing. */
  readonly convert?: {
    readonly on: 'vm' | 'guest-memfd';
    readonly allocate: { readonly mode: number; readonly length: number };
    readonly steps: readonly StructCall[];
  };
}

const BATCH = 1000;
const CONVERTED = 2 * 1024 * 1024;

/** The work for a kernel that was found to have these features. */
export async function workFor({ dialect, convertible }: Features): Promise<Work> {
  const [abi, { flagRules, vmTypeNumbers }] = await Promise.all([loadAbi(), loadHostParts()]);
  const { flags, convertible: hasEffect } = flagRules[dialect];
  const plain = flags['unmapped private'] ?? 0n;
  const vmType = convertible[0];
  const convert = vmType === undefined ? undefined : await conversion(dialect);
  const fileFlags = convert === undefined || hasEffect(plain) ? plain : (flags['mapped private'] ?? plain);
  const create = abi.KVM_CREATE_GUEST_MEMFD;
  return {
    createVm: { request: abi.KVM_CREATE_VM.request, type: vmTypeNumbers[vmType ?? 'default'] },
    check: { request: abi.KVM_CHECK_EXTENSION.request, value: abi.capabilities.KVM_CAP_USER_MEMORY.number },
    create: { request: create.request, struct: [...create.struct.encode({ size: CONVERTED, flags: fileFlags })] },
    punch: { mode: abi.FALLOC_FL_PUNCH_HOLE | abi.FALLOC_FL_KEEP_SIZE, length: abi.PAGE_SIZE },
    batch: BATCH,
    ...(convert && { convert }),
  };
}

async function conversion(dialect: Dialect): Promise<Work['convert']> {
  if (dialect === 'none') return undefined;
  const [{ FALLOC_FL_KEEP_SIZE }, { conversions }] = await Promise.all([loadAbi(), loadHostParts()]);
  const { on, call } = conversions[dialect];
  const steps = (['shared', 'private'] as const).map((to) => {
    const { ioctl, args } = call(0n, BigInt(CONVERTED), to);
    return { request: ioctl.request, struct: [...(ioctl.struct?.encode(args) ?? [])] };
  });
  // kvm_gmem_fallocate(): without KEEP_SIZE it is EOPNOTSUPP.
  return { on, allocate: { mode: FALLOC_FL_KEEP_SIZE, length: CONVERTED }, steps };
}

/** The same as the C compiler takes it. */
export function asDefinitions(work: Work): string[] {
  const { createVm, check, create, punch, batch, convert } = work;
  const list = (values: readonly number[]): string => `{${values.join(',')}}`;
  const values: Record<string, string | number> = {
    VM_REQUEST: createVm.request,
    VM_TYPE: createVm.type,
    CHECK_REQUEST: check.request,
    CHECK_VALUE: check.value,
    CREATE_REQUEST: create.request,
    CREATE_STRUCT: list(create.struct),
    PUNCH_MODE: punch.mode,
    PUNCH_LENGTH: punch.length,
    BATCH: batch,
    ...(convert && {
      CONVERT_ON_VM: convert.on === 'vm' ? 1 : 0,
      ALLOCATE_MODE: convert.allocate.mode,
      ALLOCATE_LENGTH: convert.allocate.length,
      CONVERT_REQUESTS: list(convert.steps.map((step) => step.request)),
      CONVERT_STRUCT_SIZE: convert.steps[0]!.struct.length,
      CONVERT_STRUCTS: list(convert.steps.flatMap((step) => step.struct)),
    }),
  };
  return Object.entries(values).map(([name, value]) => `-D${name}=${value}`);
}
