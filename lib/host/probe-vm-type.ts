/** What a VM type takes: guest_memfd creation flags, and whether its memory can be converted. */

import { errno } from '../abi/errno.ts';
import { GUEST_MEMFD_FLAG_HUGETLB } from '../abi/guest-memfd.ts';
import { type HugePageSize, hugePageBytes, hugePageSizes } from '../abi/huge-pages.ts';
import type { Dialect } from '../abi/ioctl.ts';
import { KVM_CREATE_GUEST_MEMFD } from '../abi/kvm.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import type { Syscalls } from '../syscalls/seam.ts';
import { conversions, type FlagRules } from './dialects.ts';
import type { CreateFlags } from './features.ts';
import { issue, prepareIoctl } from './ioctl.ts';

export interface VmTypeAnswers {
  /** `undefined`: no guest_memfd can be made on it. */
  readonly flags: CreateFlags | undefined;
  readonly convertible: boolean;
}

const ONE_PAGE = BigInt(PAGE_SIZE);

export async function probeVmType(
  syscalls: Syscalls,
  vm: number,
  dialect: Dialect,
  rules: FlagRules,
): Promise<VmTypeAnswers> {
  if (!(await accepts(syscalls, vm, ONE_PAGE, 0n))) return { flags: undefined, convertible: false };
  const known = [];
  for (const flag of rules.probes) {
    if (await accepts(syscalls, vm, flag.size, flag.bit | flag.with)) known.push(flag);
  }
  const bits = known.reduce((sum, { bit }) => sum | bit, 0n);
  const flags = createFlags(
    known.map(({ name }) => name),
    bits,
    rules,
    await sizesAccepted(syscalls, vm, rules),
  );
  return { flags, convertible: await converts(syscalls, vm, dialect, mappedOrNot(flags, rules)) };
}

/** Every size is tried: what a kernel has depends on its architecture and its command line. */
async function sizesAccepted(syscalls: Syscalls, vm: number, { hugePages }: FlagRules): Promise<HugePageSize[]> {
  const accepted: HugePageSize[] = [];
  for (const size of hugePages ? hugePageSizes : []) {
    if (await accepts(syscalls, vm, hugePageBytes(size), hugePages!(size))) accepted.push(size);
  }
  return accepted;
}

function createFlags(
  names: readonly string[],
  bits: bigint,
  rules: FlagRules,
  hugePageSizes: readonly HugePageSize[],
): CreateFlags {
  const has = (wanted: bigint | undefined) => wanted !== undefined && (wanted & ~bits) === 0n;
  const initShared = has(rules.flags['mapped shared']);
  const initPrivate = has(rules.flags['mapped private']);
  const state = { mmap: initShared || initPrivate, initShared, initPrivate, hugePageSizes };
  if (hugePageSizes.length === 0) return { names, bits, ...state };
  return { names: [...names, 'GUEST_MEMFD_FLAG_HUGETLB'], bits: bits | GUEST_MEMFD_FLAG_HUGETLB, ...state };
}

const mappedOrNot = (flags: CreateFlags, rules: FlagRules): bigint =>
  (flags.initPrivate ? rules.flags['mapped private'] : undefined) ?? 0n;

/** Whether a file can be made so. ENOMEM is a huge page pool without pages: the flags as such are known. */
async function accepts(syscalls: Syscalls, vm: number, size: bigint, flags: bigint): Promise<boolean> {
  const { ret } = await issue(syscalls, vm, prepareIoctl(vm, KVM_CREATE_GUEST_MEMFD, { size, flags }));
  if (ret >= 0) await syscalls.close(ret);
  return ret >= 0 || ret === -errno.ENOMEM;
}

/** Tries to make a page private that nobody uses. */
async function converts(syscalls: Syscalls, vm: number, dialect: Dialect, flags: bigint): Promise<boolean> {
  if (dialect === 'none') return false;
  const conversion = conversions[dialect];
  const { ioctl, args } = conversion.call(0n, ONE_PAGE, 'private');
  const answer = async (fd: number) => (await issue(syscalls, fd, prepareIoctl(fd, ioctl, args))).ok;
  if (conversion.on === 'vm') return answer(vm);
  const file = await issue(syscalls, vm, prepareIoctl(vm, KVM_CREATE_GUEST_MEMFD, { size: ONE_PAGE, flags }));
  if (!file.ok) return false;
  try {
    return await answer(file.ret);
  } finally {
    await syscalls.close(file.ret);
  }
}
