/** For each public method, arguments with which it works. A method that is missing here does not compile. */

import { KVM_CHECK_EXTENSION, KVM_CREATE_GUEST_MEMFD } from '../../../lib/abi/index.ts';
import type { ObjectName, Objects } from './objects.ts';
import { PAGE } from './objects.ts';

/** Not here: what has tests of its own. */
type Own = 'close' | symbol;

type MethodOf<T> = { [K in keyof T]: T[K] extends (...args: never[]) => unknown ? K : never }[keyof T];
// biome-ignore lint/suspicious/noExplicitAny: overloads have no parameter list to infer; calls are made as JavaScript.
type ArgsFor<T> = { [K in Exclude<MethodOf<T>, Own> & string]: (objects: Objects) => any[] };
type ValidCalls = { [Name in ObjectName]: ArgsFor<Objects[Name]> };

const none = () => [];
const page = { offset: 0, size: PAGE };
const ioctl = ({ vm }: Objects) => [vm, KVM_CHECK_EXTENSION, 3];
const conversion = { ...page, to: 'private' };
const region = { slot: 5, guestPhysAddr: 0x10_0000, size: PAGE };
const io = { reason: 'io', write: true, size: 1, port: 1, count: 1, dataOffset: PAGE };
const run = () => [{ signal: AbortSignal.timeout(10_000) }];
const attributes = { address: 0, size: PAGE, to: 'private' };
const area = { iova: 0x100_0000, length: PAGE };
const toMap = ({ mapping }: Objects) => ({
  address: mapping,
  offset: 0,
  length: PAGE,
  iova: 0x100_0000n,
  readable: true,
  writeable: true,
});
const map = (all: Objects) => [toMap(all)];
const mapAll = (all: Objects) => [[toMap(all)]];
const mapFile = ({ gmem }: Objects) => [
  { file: gmem, start: 0, length: PAGE, iova: 0x100_0000n, readable: true, writeable: true },
];
const copy = ({ ioas }: Objects) => [
  { from: ioas, sourceIova: 0, length: PAGE, iova: 0, readable: true, writeable: true },
];
const onIoas = ({ ioas }: Objects) => [ioas];
const hwpt = ({ mockDevice, ioas }: Objects) => [
  { device: mockDevice, on: ioas, dirtyTracking: false, nestParent: false },
];
const dirty = { ...area, pageSize: PAGE };
const openDevice = ({ address, iommufd }: Objects) => [address, { iommufd }];
const feature = () => ['MIGRATION', 'get', new Uint8Array(8)];
const register = () => [4, 2];

export const validCalls: ValidCalls = {
  host: {
    createVm: () => [{ type: 'default' }],
    tryCreateVm: () => [{ type: 'default' }],
    guestSupport: none,
    hugePagePools: none,
    sevAttributes: () => [],
    trySevAttributes: () => [],
    iommufd: none,
    tryIommufd: none,
    memory: () => [{ size: PAGE }],
    tryMemory: () => [{ size: 1n }],
  },
  raw: {
    ioctl,
    tryIoctl: ({ vm }) => [vm, KVM_CREATE_GUEST_MEMFD, { size: PAGE }],
    ioctlSync: ioctl,
    tryIoctlSync: ioctl,
    ioctlMany: ({ vm }) => [vm, KVM_CHECK_EXTENSION, [3, 3]],
    tryIoctlMany: ({ vm }) => [vm, KVM_CHECK_EXTENSION, [3, 3]],
  },
  vm: {
    checkExtension: () => ['KVM_CAP_USER_MEMORY'],
    tryCheckExtension: () => [3],
    enableCap: () => [1, [1n, 2], 0],
    tryEnableCap: () => [1, [1n, 2], 0],
    createGuestMemfd: () => [{ size: PAGE, mmap: true, initially: 'shared' }],
    tryCreateGuestMemfd: () => [{ size: PAGE, rawFlags: 0n }],
    setMemoryRegion: ({ gmem, mapping }) => [
      {
        ...region,
        addressSpace: 1,
        gmem,
        gmemOffset: 0,
        userspaceAddr: mapping,
        readonly: false,
        logDirtyPages: false,
      },
    ],
    trySetMemoryRegion: () => [{ ...region, userspaceAddr: 0n, readonly: true, logDirtyPages: false }],
    deleteMemoryRegion: () => [0, 0],
    tryDeleteMemoryRegion: () => [0, 0],
    createVcpu: () => [{ id: 9 }],
    tryCreateVcpu: () => [{ id: 7 }],
    createGuest: () => [{ vcpus: 1, guestPhysAddr: 0x8000_0000n, slot: 9, onHypercall: async () => 0 }],
    tryCreateGuest: () => [{ vcpus: 1, guestPhysAddr: 0x8000_0000, slot: 9 }],
    setMemoryAttributes: () => [attributes],
    trySetMemoryAttributes: () => [{ address: 0n, size: BigInt(PAGE), attributes: 8n }],
    vfio: none,
    tryVfio: none,
  },
  gmem: {
    map: () => [{ offset: 0, size: PAGE, prot: 3 }],
    tryMap: () => [{ offset: 0n, size: BigInt(PAGE), prot: 1 }],
    convert: () => [conversion, { retry: { attempts: 2, delayMs: 0 }, signal: new AbortController().signal }],
    tryConvert: () => [conversion, { retry: { attempts: 1 } }],
    punchHole: () => [page],
    tryPunchHole: () => [page],
    allocate: () => [page],
    tryAllocate: () => [page],
    stat: none,
    tryStat: none,
    dup: none,
    tryDup: none,
  },
  mapping: {
    read: () => [0, 1],
    tryRead: () => [0, 1],
    write: () => [0, Uint8Array.of(1)],
    tryWrite: () => [0, Uint8Array.of(1)],
    fill: () => [0, 1, 1],
    tryFill: () => [0, 1, 1],
  },
  region: { delete: none, tryDelete: none },
  vcpu: {
    regs: none,
    setRegs: () => [{ rip: 0n, rflags: 2 }],
    sregs: none,
    setSregs: () => [{ cs: { base: 0n, limit: 0xffff }, gdt: { base: 0n, limit: 7 }, cr0: 0n }],
    mpState: none,
    setMpState: () => [0],
    run,
    tryRun: run,
    exits: run,
    interrupt: none,
    completeExit: none,
    ioData: () => [io],
    respond: ({ exit }) => [exit, Uint8Array.of(1)],
    preFault: () => [{ gpa: 0, size: PAGE }],
    tryPreFault: () => [{ gpa: 0n, size: BigInt(PAGE) }],
  },
  vmVfio: {
    add: ({ device }) => [device],
    tryAdd: ({ group }) => [group],
    remove: ({ device }) => [device],
    tryRemove: ({ group }) => [group],
  },
  iommufd: {
    allocIoas: none,
    tryAllocIoas: none,
    allocHwpt: hwpt,
    tryAllocHwpt: hwpt,
    hwInfo: ({ mockDevice }) => [mockDevice],
    tryHwInfo: () => [1],
    rlimitMode: none,
    tryRlimitMode: none,
    setRlimitMode: () => ['process'],
    trySetRlimitMode: () => ['user'],
    vfioContainer: none,
    tryVfioContainer: none,
    vfioIoas: none,
    tryVfioIoas: none,
    setVfioIoas: onIoas,
    trySetVfioIoas: onIoas,
    changeProcess: none,
    tryChangeProcess: none,
    destroy: () => [77],
    tryDestroy: () => [0],
  },
  ioas: {
    map,
    tryMap: map,
    mapFile,
    tryMapFile: mapFile,
    mapAll,
    tryMapAll: mapAll,
    unmap: () => [area],
    tryUnmap: () => [area],
    unmapAll: none,
    tryUnmapAll: none,
    isMapped: () => [area],
    tryIsMapped: () => [area],
    copy,
    tryCopy: copy,
    allowIovas: () => [[{ start: 0, last: 0xfffn }]],
    tryAllowIovas: () => [[{ start: 0, last: 0xfffn }]],
    iovaRanges: none,
    tryIovaRanges: none,
    hugePages: none,
    tryHugePages: none,
    setHugePages: () => [true],
    trySetHugePages: () => [false],
    tryClose: none,
  },
  mockDevice: { replace: onIoas, tryReplace: ({ hwpt: table }) => [table], tryClose: none },
  hwpt: {
    setDirtyTracking: () => [true],
    trySetDirtyTracking: () => [false],
    dirtyBitmap: () => [{ ...dirty, clear: true }],
    tryDirtyBitmap: () => [{ ...dirty, clear: false }],
    tryClose: none,
  },
  vfio: {
    devices: none,
    device: ({ address }) => [address],
    groups: none,
    bind: ({ address }) => [address, { unbind: true }],
    tryBind: ({ address }) => [address, { unbind: false }],
    openDevice,
    tryOpenDevice: openDevice,
    openGroup: () => [1],
    tryOpenGroup: () => [1],
    openContainer: none,
    tryOpenContainer: none,
  },
  binding: { tryClose: none },
  container: {
    apiVersion: none,
    tryApiVersion: none,
    checkExtension: () => ['type1'],
    tryCheckExtension: () => [3],
    setIommu: () => ['type1v2'],
    trySetIommu: () => ['type1'],
    info: none,
    tryInfo: none,
    mapDma: map,
    tryMapDma: map,
    mapAll,
    tryMapAll: mapAll,
    unmapDma: () => [area],
    tryUnmapDma: () => [area],
    unmapAll: none,
    tryUnmapAll: none,
    setDirtyTracking: () => [true],
    trySetDirtyTracking: () => [false],
    dirtyBitmap: () => [dirty],
    tryDirtyBitmap: () => [dirty],
  },
  group: {
    status: none,
    tryStatus: none,
    setContainer: ({ container }) => [container],
    trySetContainer: ({ iommufd }) => [iommufd],
    unsetContainer: none,
    tryUnsetContainer: none,
    openDevice: ({ address }) => [address],
    tryOpenDevice: ({ address }) => [address],
  },
  device: {
    bind: ({ iommufd }) => [iommufd],
    tryBind: ({ iommufd }) => [iommufd],
    attach: onIoas,
    tryAttach: ({ hwpt: table }) => [table],
    detach: none,
    tryDetach: none,
    info: none,
    tryInfo: none,
    region: () => ['bar0'],
    tryRegion: () => [7],
    irqInfo: () => ['msi'],
    tryIrqInfo: () => [0],
    irq: () => ['msi', { vectors: 1 }],
    tryIrq: () => [1, { vectors: 1 }],
    reset: none,
    tryReset: none,
    hasFeature: () => ['MIGRATION', 'get'],
    feature,
    tryFeature: feature,
    setBusMaster: () => [true],
    trySetBusMaster: () => [false],
  },
  config: {
    read: register,
    tryRead: register,
    write: () => [4, 2, 0],
    tryWrite: () => [4n, 2, 0n],
    readBytes: () => [0, 4],
    tryReadBytes: () => [0n, 4],
    writeBytes: () => [4, Uint8Array.of(0)],
    tryWriteBytes: () => [4n, Uint8Array.of(0)],
    map: () => [{ offset: 0, size: 4, prot: 3 }],
    tryMap: () => [{ offset: 0n, size: 4n, prot: 1 }],
  },
  irq: {
    wait: () => [0, { timeoutMs: 0, signal: new AbortController().signal }],
    trigger: () => [0],
    mask: () => [0],
    unmask: () => [0],
  },
  guest: {
    read: () => [0, 1, { vcpu: 1, signal: new AbortController().signal }],
    write: () => [0n, Uint8Array.of(1), { vcpu: 0 }],
    fill: () => [0, 1, 1, { vcpu: 1 }],
    mapGpaRange: () => [0, PAGE, 'private', { vcpu: 0 }],
  },
};

/** Calls a method by name. What it throws at once rejects as well; of what it iterates over, the first is the answer. */
export async function callMethod(
  objects: Objects,
  name: ObjectName,
  method: string,
  args: unknown[],
): Promise<unknown> {
  const object = objects[name] as unknown as Record<string, (...args: unknown[]) => unknown>;
  const answer = await object[method]?.(...args);
  return isIterator(answer) ? await answer.next().finally(() => answer.return()) : answer;
}

const isIterator = (value: unknown): value is AsyncGenerator<unknown, void, void> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
