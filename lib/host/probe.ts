/**
 * Asks a kernel what it can do, on throw-away VMs and guest_memfds that are closed before this returns.
 * Only behaviour decides: capability numbers of unreleased series collide with those of other architectures.
 */

import { type CapabilityName, capabilities } from '../abi/capabilities.ts';
import { errnoName } from '../abi/errno.ts';
import { hugePageSizes } from '../abi/huge-pages.ts';
import type { Dialect } from '../abi/ioctl.ts';
import { KVM_CHECK_EXTENSION, KVM_CREATE_GUEST_MEMFD, KVM_CREATE_VM, KVM_GET_API_VERSION } from '../abi/kvm.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import { requestName } from '../abi/table.ts';
import type { Syscalls } from '../syscalls/seam.ts';
import { conversions, flagRules } from './dialects.ts';
import type { ProbeAnswer } from './errors.ts';
import type { Availability, Features } from './features.ts';
import { type IoctlOutcome, issue, prepareIoctl } from './ioctl.ts';
import type { ForcedDialect } from './options.ts';
import { probeIommu, probeKvmVfio } from './probe-iommu.ts';
import { probeVmType, type VmTypeAnswers } from './probe-vm-type.ts';
import { unwrapIoctl } from './result.ts';
import { type VmType, vmTypeNumbers, vmTypesOf } from './vm-types.ts';

/** What the kernel itself cannot be asked through an ioctl. */
export interface KnownFacts {
  readonly release: string;
  readonly guest: Features['guest'];
  readonly forced: ForcedDialect | undefined;
}

const ONE_PAGE = BigInt(PAGE_SIZE);
/** What kvm_vm_ioctl_check_extension_generic() has answered at least since memslots can be asked for. */
const LEAST_MEMSLOTS = 32;

export async function probe(syscalls: Syscalls, system: number, known: KnownFacts): Promise<Features> {
  const version = await issue(syscalls, system, prepareIoctl(system, KVM_GET_API_VERSION, 0));
  const answers = await askCapabilities(syscalls, system);
  const vmTypes = vmTypesOf(answers.KVM_CAP_VM_TYPES);
  const found = await askDialect(syscalls, system, vmTypes);
  const dialect = known.forced?.dialect ?? found.dialect;
  const byType = await askVmTypes(syscalls, system, vmTypes, dialect);
  const flags = [...byType.values()].map((type) => type.flags);
  return {
    apiVersion: unwrapIoctl(version).ret,
    release: known.release,
    dialect,
    dialectReason: known.forced ? `forced by ${known.forced.by}` : found.reason,
    dialectProbes: found.probes,
    capabilities: answers,
    vmTypes,
    createFlags: Object.fromEntries([...byType].flatMap(([type, { flags }]) => (flags ? [[type, flags]] : []))),
    convertible: [...byType].flatMap(([type, { convertible }]) => (convertible ? [type] : [])),
    guestMemfd: flags.some((type) => type !== undefined),
    mmap: flags.some((type) => type?.mmap),
    initShared: flags.some((type) => type?.initShared),
    initPrivate: flags.some((type) => type?.initPrivate),
    hugePageSizes: hugePageSizes.filter((size) => flags.some((type) => type?.hugePageSizes.includes(size))),
    userMemory2: answers.KVM_CAP_USER_MEMORY2 > 0,
    maxMemslots: answers.KVM_CAP_NR_MEMSLOTS || LEAST_MEMSLOTS,
    guest: known.guest,
    ...(await probeIommu(syscalls)),
    kvmVfio: found.kvmVfio,
  };
}

async function askCapabilities(syscalls: Syscalls, system: number): Promise<Record<CapabilityName, number>> {
  const answers = {} as Record<CapabilityName, number>;
  for (const name of Object.keys(capabilities) as CapabilityName[]) {
    const ret = await syscalls.ioctl(system, KVM_CHECK_EXTENSION.request, capabilities[name].number);
    answers[name] = Math.max(ret, 0);
  }
  return answers;
}

/** The fd of a success for as long as `work` runs. */
export async function withFd<T>(syscalls: Syscalls, fd: number, work: (fd: number) => Promise<T>): Promise<T> {
  try {
    return await work(fd);
  } finally {
    await syscalls.close(fd);
  }
}

function createVm(syscalls: Syscalls, system: number, type: VmType): Promise<IoctlOutcome<undefined>> {
  return issue(syscalls, system, prepareIoctl(system, KVM_CREATE_VM, vmTypeNumbers[type]));
}

interface Found {
  readonly dialect: Dialect;
  readonly reason: string;
  readonly probes: ProbeAnswer[];
  readonly kvmVfio: Availability;
}

/** On a VM of the first type that one can be made of. @throws KernelError when there is none. */
async function askDialect(syscalls: Syscalls, system: number, types: readonly VmType[]): Promise<Found> {
  const refused: IoctlOutcome<undefined>[] = [];
  for (const type of types) {
    const vm = await createVm(syscalls, system, type);
    if (vm.ok) {
      return withFd(syscalls, vm.ret, async (fd) => ({
        ...(await askDialectOf(syscalls, fd)),
        kvmVfio: await probeKvmVfio(syscalls, fd),
      }));
    }
    refused.push(vm);
  }
  unwrapIoctl(refused[0]!);
  throw new Error('no VM type to try');
}

async function askDialectOf(syscalls: Syscalls, vm: number): Promise<Omit<Found, 'kvmVfio'>> {
  const created = await issue(syscalls, vm, prepareIoctl(vm, KVM_CREATE_GUEST_MEMFD, { size: ONE_PAGE }));
  const probes: ProbeAnswer[] = [{ request: 'KVM_CREATE_GUEST_MEMFD', answer: created.ok ? 'fd' : created.code }];
  if (!created.ok) return { ...(await askConversions(syscalls, { vm }, probes)), probes };
  return withFd(syscalls, created.ret, async (gmem) => ({
    ...(await askConversions(syscalls, { vm, 'guest-memfd': gmem }, probes)),
    probes,
  }));
}

type Files = { readonly vm: number; readonly 'guest-memfd'?: number };

/** Converts nothing by each ABI in turn: the first that is recognised is the kernel's. */
async function askConversions(
  syscalls: Syscalls,
  files: Files,
  probes: ProbeAnswer[],
): Promise<Pick<Found, 'dialect' | 'reason'>> {
  const found: Pick<Found, 'dialect' | 'reason'>[] = [];
  for (const [dialect, conversion] of Object.entries(conversions)) {
    const fd = files[conversion.on];
    if (fd === undefined) continue;
    const { ioctl, args } = conversion.call(0n, 0n, 'shared');
    const { ret } = await issue(syscalls, fd, prepareIoctl(fd, ioctl, args));
    const request = requestName(ioctl);
    const answer = ret < 0 ? (errnoName(ret) ?? String(ret)) : String(ret);
    probes.push({ request, answer });
    if (conversion.recognises(ret)) {
      found.push({ dialect: dialect as Dialect, reason: `${request} of nothing answered ${answer}` });
    }
  }
  return found[0] ?? { dialect: 'none', reason: 'the kernel knows no conversion request' };
}

async function askVmTypes(
  syscalls: Syscalls,
  system: number,
  types: readonly VmType[],
  dialect: Dialect,
): Promise<Map<VmType, VmTypeAnswers>> {
  const answers = new Map<VmType, VmTypeAnswers>();
  for (const type of types) {
    const vm = await createVm(syscalls, system, type);
    // A type can be announced and still be refused: no ASIDs left, firmware not initialised.
    if (!vm.ok) continue;
    answers.set(type, await withFd(syscalls, vm.ret, (fd) => probeVmType(syscalls, fd, dialect, flagRules[dialect])));
  }
  return answers;
}
