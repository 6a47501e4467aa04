/** A mock kernel with one process in it. */

import { checkInteger, checkOneOf, checkOptions, wrongType } from '../abi/invalid.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import { checkWrites } from '../syscalls/after-death.ts';
import type { Syscalls } from '../syscalls/seam.ts';
import { withTwins } from '../syscalls/twins.ts';
import { blockingCalls, ioctlWhenItMay } from './blocking.ts';
import { MockCalls } from './calls.ts';
import { type MockControls, makeControls } from './controls.ts';
import { mortalCalls } from './crash.ts';
import { Faults } from './faults.ts';
import { type HugePagePools, makePools, type PoolSize, poolSizes } from './huge-page-pool.ts';
import { afterEveryCall, violations } from './invariants/index.ts';
import { type DeviceOption, IommuSystem } from './iommu/index.ts';
import { type IommuPolicy, iommuPolicies } from './iommu/policy.ts';
import { Journal } from './journal.ts';
import type { Machine } from './kvm/index.ts';
import { HostMemory } from './memory.ts';
import { pathCalls } from './paths.ts';
import { createPlatform, type PlatformName, platformNames } from './platform/index.ts';
import { AddressSpace, FdTable } from './process/index.ts';
import {
  type Profile,
  type ProfileName,
  profileNames,
  profiles,
  withInPlaceParameter,
  withoutHugePages,
} from './profile.ts';
import { raceCall } from './race.ts';
import { Restarts } from './restart.ts';

export interface MockOptions {
  /** Which kernel it is. Default: `linux-7.3`. */
  readonly kernel?: ProfileName;
  /** Which hardware it runs on. Default: `software-protected`. */
  readonly platform?: PlatformName;
  /** Host memory in bytes; an allocation beyond it answers ENOMEM. Default: 4 GiB. */
  readonly memory?: number;
  /** How the IOMMU has guest_memfd's pages. Default: `pin`, as every released kernel. */
  readonly iommu?: IommuPolicy;
  /** RLIMIT_MEMLOCK in bytes, of a process without CAP_IPC_LOCK. Default: a process that has it, as root has. */
  readonly memlock?: number;
  /**
   * The PCI devices behind the IOMMU, each an edu. Default: one in a group of its own that vfio-pci has. A kernel
   * without iommufd has none.
   */
  readonly devices?: readonly DeviceOption[];
  /**
   * How many huge pages the host has set aside, of each size; they come on top of `memory`. Default: 1024 of 2 MiB and
   * 16 of 1 GiB. `false`: a kernel without CONFIG_KVM_GMEM_HUGETLB, whose guest_memfds have none.
   */
  readonly hugePages?: Partial<Readonly<Record<PoolSize, number>>> | false;
  /**
   * For `inplace-v13` only: the kernel is built with CONFIG_KVM_VM_MEMORY_ATTRIBUTES=y and this is the module
   * parameter kvm.gmem_in_place_conversion. Default: the configuration without the parameter, where it is always on.
   */
  readonly gmemInPlaceConversion?: boolean;
  /**
   * Whether the mock checks its own rules after every system call, and throws where one is broken. Default: what the
   * environment variable GMEM_INVARIANTS says (1 or nothing).
   */
  readonly invariants?: boolean;
}

export interface Mock {
  readonly syscalls: Syscalls;
  readonly controls: MockControls;
}

const DEFAULT_MEMORY = 4 * 1024 ** 3;
const DEFAULT_HUGE_PAGES = { '2M': 1024, '1G': 16 } as const;

function profileFor(options: MockOptions): Profile {
  const named = profiles[checkOneOf('kernel', options.kernel ?? 'linux-7.3', profileNames)];
  const profile = options.hugePages === false ? withoutHugePages(named) : named;
  const parameter = options.gmemInPlaceConversion;
  if (parameter === undefined) return profile;
  if (typeof parameter !== 'boolean') throw wrongType('gmemInPlaceConversion', 'a boolean', parameter);
  if (profile.name !== 'inplace-v13') {
    throw wrongType('gmemInPlaceConversion', `left out: kernel '${profile.name}' has no such parameter`, parameter);
  }
  return withInPlaceParameter(profile, parameter);
}

function checksItself({ invariants = process.env['GMEM_INVARIANTS'] === '1' }: MockOptions): boolean {
  if (typeof invariants !== 'boolean') throw wrongType('invariants', 'a boolean', invariants);
  return invariants;
}

function poolsFor({ hugePages = {} }: MockOptions): HugePagePools {
  const totals: Record<PoolSize, number> = {
    ...DEFAULT_HUGE_PAGES,
    ...checkOptions('hugePages', hugePages || {}, poolSizes),
  };
  for (const size of poolSizes) checkInteger(`hugePages['${size}']`, totals[size], 0, Number.MAX_SAFE_INTEGER);
  return makePools(totals);
}

const MOCK_OPTIONS = [
  'kernel',
  'platform',
  'memory',
  'iommu',
  'memlock',
  'devices',
  'hugePages',
  'gmemInPlaceConversion',
  'invariants',
] as const satisfies (keyof MockOptions)[];

/** @throws TypeError, RangeError for options it does not know. */
export function createMock(options: MockOptions = {}): Mock {
  checkOptions('options', options, MOCK_OPTIONS);
  const profile = profileFor(options);
  const platform = createPlatform(checkOneOf('platform', options.platform ?? 'software-protected', platformNames));
  const bytes = checkInteger('memory', options.memory ?? DEFAULT_MEMORY, PAGE_SIZE, Number.MAX_SAFE_INTEGER);
  const faults = new Faults();
  const memory = new HostMemory(bytes, faults);
  memory.onFree = (pfn, pages) => platform.freed(pfn, pages);
  let number = 100;
  const machine: Machine = {
    profile,
    platform,
    memory,
    memlock:
      options.memlock === undefined
        ? undefined
        : Math.floor(checkInteger('memlock', options.memlock, 0, Number.MAX_SAFE_INTEGER) / PAGE_SIZE),
    hugePages: poolsFor(options),
    faults,
    journal: new Journal(),
    fds: new FdTable(),
    restarts: new Restarts(),
    addressSpace: new AddressSpace(memory),
    paths: [],
    vms: new Set(),
    inodes: new Set(),
    nextNumber: () => ++number,
  };
  const iommu = new IommuSystem(machine, {
    policy: checkOneOf('iommu', options.iommu ?? 'pin', iommuPolicies),
    memlock: machine.memlock,
    devices: options.devices,
  });
  machine.paths.push(iommu);
  const bare = new MockCalls(machine);
  const mortal = mortalCalls(machine, bare);
  const calls = checksItself(options) ? afterEveryCall(mortal, machine, violations) : mortal;
  const twins = withTwins(calls, {
    ...blockingCalls(machine, calls),
    race: raceCall(calls, bare.mappings),
    ...pathCalls(machine),
    afterDeath: (writes) => {
      checkWrites(writes);
      return () => {};
    },
    backend: 'mock',
    description: `${profile.name} on ${platform.name}: ${profile.summary}`,
    dispose: () => {
      machine.addressSpace.unmapAll();
      machine.fds.closeAll();
    },
  });
  return { syscalls: { ...twins, ioctl: ioctlWhenItMay(calls) }, controls: makeControls(machine, iommu) };
}
