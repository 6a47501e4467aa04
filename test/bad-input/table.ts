/**
 * For each public method, what each of its arguments cannot be. `at` is a path from the argument list: `0.size` is
 * the `size` of the first argument. A method without arguments has an empty list; one that is missing does not compile.
 */

import { KVM_CHECK_EXTENSION, KVM_CREATE_GUEST_MEMFD, KVM_SET_MEMORY_ATTRIBUTES } from '../../lib/abi/index.ts';
import { type ObjectName, type Objects, PAGE, SIZE } from '../host/support/objects.ts';
import type { validCalls } from '../host/support/valid-calls.ts';
import {
  detached,
  notBoolean,
  notBytes,
  notCapability,
  notFd,
  notNumber,
  notObject,
  notOptions,
  notPageCount,
  notPages,
  notSignal,
  notU64,
  notWord,
} from './values.ts';

export interface Bad {
  readonly at: string;
  readonly values: readonly unknown[];
}

type Table = {
  [Name in ObjectName]: {
    [K in keyof (typeof validCalls)[Name] | ('raw' extends Name ? 'close' : never)]: readonly Bad[];
  };
};

const U16_OVER = 0x1_0000;
const U32_OVER = 2 ** 32;
const bad = (at: string, values: readonly unknown[]): Bad => ({ at, values });

const createVm = [bad('0', notOptions), bad('0.type', notWord)];
const memory = [bad('0', [undefined, ...notOptions]), bad('0.size', [undefined, ...notU64, 0, 1n << 53n])];
const enableCap = [
  bad('0', notCapability),
  bad('1', [null, 'x', 1, {}, [1, 2, 3, 4, 5]]),
  bad('1.0', notU64),
  bad('2', [...notNumber, U32_OVER]),
];
const createGuestMemfd = [
  bad('0', [undefined, ...notOptions]),
  bad('0.size', [undefined, ...notPageCount, 1n << 63n]),
  bad('0.mmap', notBoolean),
  bad('0.initially', notWord),
  // A size right in itself, of which the file is no multiple.
  bad('0.hugePageSize', [...notWord, '4K', '2m', '2M']),
  // Right in itself, but it says what mmap and initially say.
  bad('0.rawFlags', [...notU64, 0, 3n]),
];
const rawFlags = [
  bad('0.rawFlags', notU64),
  bad('0.mmap', [true, false]),
  bad('0.initially', ['private', 'shared']),
  bad('0.hugePageSize', ['2M']),
];
const region = [
  bad('0', [undefined, ...notOptions]),
  bad('0.slot', [undefined, ...notNumber, U16_OVER]),
  bad('0.addressSpace', [...notNumber, U16_OVER]),
  bad('0.guestPhysAddr', [undefined, ...notPages]),
  bad('0.size', [undefined, ...notPageCount]),
  bad('0.gmem', [null, 7, {}, 'x', { fd: 7 }]),
  bad('0.gmemOffset', notPages),
  bad('0.userspaceAddr', [...notPages, { address: 0n }]),
  bad('0.readonly', notBoolean),
  bad('0.logDirtyPages', notBoolean),
];
const slot = [bad('0', [undefined, ...notNumber, U16_OVER]), bad('1', [...notNumber, U16_OVER])];
const attributes = [
  bad('0', [undefined, ...notOptions]),
  bad('0.address', [undefined, ...notPages]),
  bad('0.size', [undefined, ...notPageCount]),
];
const range = [
  bad('0', [undefined, ...notOptions]),
  bad('0.offset', [undefined, ...notPages, 1n << 63n]),
  bad('0.size', [undefined, ...notPageCount, 1n << 63n]),
];
const convert = [
  ...range,
  bad('0.to', [undefined, ...notWord]),
  bad('1', notOptions),
  bad('1.retry', notOptions),
  bad('1.retry.attempts', [undefined, ...notNumber, 0]),
  bad('1.retry.delayMs', [...notNumber, 2 ** 31]),
  bad('1.signal', notSignal),
];
const map = [
  bad('0', notOptions),
  bad('0.offset', [...notPages, 1n << 63n]),
  bad('0.size', [...notU64, 0, 0n, 1n << 53n]),
  bad('0.prot', [...notNumber, 8]),
];
const span = [bad('0', [undefined, ...notNumber, 4 * PAGE]), bad('1', [undefined, ...notNumber, 0, 4 * PAGE + 1])];
const write = [span[0]!, bad('1', [undefined, ...notBytes, new Uint8Array(0), new Uint8Array(4 * PAGE + 1)])];
const fill = [...span, bad('2', [undefined, ...notNumber, 256])];

const request = bad('1', [
  undefined,
  ...notNumber,
  U32_OVER,
  { request: 'x' },
  { request: -1 },
  { request: 1, struct: {} },
]);
const value = bad('2', [...notU64, 2n ** 53n]);
const fields = bad('2', [
  null,
  'x',
  1n,
  [],
  { sise: 1n },
  { size: 'x' },
  { size: -1 },
  { size: 1n << 64n },
  { size: Number.NaN },
  { reserved: 1 },
  { reserved: [0, 0, 0, 0, 0, 0, 0] },
  { address: 1 },
  new Uint8Array(0),
  new Uint8Array(63),
  detached(),
]);
const many = [
  bad('0', [undefined, ...notFd]),
  bad('1', [undefined, null, 'x', 3, {}, { request: 'x' }, KVM_CREATE_GUEST_MEMFD]),
  bad('2', [undefined, null, 'x', 1, {}, [undefined], ['x'], [3, -1], [1.5], [2n ** 53n]]),
];
const issue = [bad('0', [undefined, ...notFd]), request, value];
const issueFields = [bad('0', [undefined, ...notFd]), request, fields];

const createVcpu = [bad('0', notOptions), bad('0.id', [...notNumber, U32_OVER])];
const createGuest = [
  bad('0', notOptions),
  bad('0.vcpus', [...notNumber, 0, 65]),
  bad('0.guestPhysAddr', [...notPages, PAGE, 1n << 52n]),
  bad('0.slot', [...notNumber, U16_OVER]),
  bad('0.onHypercall', [null, 1, 'x', {}, []]),
];
const regs = [
  bad('0', [undefined, ...notOptions, { address: 0n }, new Uint8Array(512)]),
  bad('0.rip', notU64),
  bad('0.rflags', notU64),
];
const sregs = [
  bad('0', [undefined, ...notOptions, { address: 0n }, new Uint8Array(512)]),
  bad('0.cs', notOptions),
  bad('0.cs.base', notU64),
  bad('0.cs.selector', [...notNumber, U16_OVER]),
  bad('0.cs.type', [...notNumber, 256]),
  bad('0.gdt.limit', [...notNumber, U16_OVER]),
  bad('0.interrupt_bitmap', [null, 1, 'x', {}, [1, 2, 3, 4, 5], [-1]]),
  bad('0.cr3', notU64),
  bad('0.efer', notU64),
];
const run = [bad('0', notOptions), bad('0.signal', notSignal)];
const ioData = [
  bad('0', [undefined, ...notOptions, { reason: 'hlt' }, { reason: 'io' }]),
  bad('0.reason', [undefined, ...notWord, 'mmio']),
  bad('0.size', [undefined, ...notNumber, 0, 5]),
  bad('0.count', [undefined, ...notNumber, 2 ** 31, 2 * PAGE + 1]),
  bad('0.dataOffset', [undefined, ...notNumber, 2 ** 31, 3 * PAGE]),
];
const preFault = [
  bad('0', [undefined, ...notOptions]),
  bad('0.gpa', [undefined, ...notPages]),
  bad('0.size', [undefined, ...notPageCount]),
];
const gpa = bad('0', [undefined, ...notU64, 1n << 52n, (1n << 64n) - 1n, 2n ** 63n]);
const byGuest = (at: string): Bad[] => [
  bad(at, notOptions),
  bad(`${at}.vcpu`, [...notNumber, 2, U32_OVER]),
  bad(`${at}.signal`, notSignal),
];

const unset = (values: readonly unknown[]): readonly unknown[] => [undefined, ...values];
const access = [bad('0.readable', notBoolean), bad('0.writeable', notBoolean)];
const mapMemory = (...iova: readonly unknown[]) => [
  bad('0', [undefined, ...notOptions]),
  bad('0.address', [undefined, ...notU64, { address: 0n }]),
  bad('0.offset', [...notU64, SIZE]),
  bad('0.length', [...notU64, 0, SIZE + 1]),
  bad('0.iova', [...iova, ...notU64]),
  ...access,
];
const mapAll = (...iova: readonly unknown[]) => [
  bad('0', [undefined, null, 'x', 1, {}, [undefined], ['x'], [{}]]),
  bad('0.0.length', [...notU64, 0, SIZE + 1]),
  bad('0.0.iova', [...iova, ...notU64]),
];
const mapFile = [
  bad('0', [undefined, ...notOptions]),
  bad('0.file', [undefined, ...notFd]),
  bad('0.start', notU64),
  bad('0.length', [undefined, ...notU64, 0]),
  bad('0.iova', notU64),
  ...access,
];
const notObjectOfOurs: readonly unknown[] = [null, 1, 'x', {}, [], { fd: 7 }, { id: 1 }];
const copy = [
  bad('0', [undefined, ...notOptions]),
  bad('0.from', notObjectOfOurs),
  bad('0.sourceIova', [undefined, ...notU64]),
  bad('0.length', [undefined, ...notU64, 0]),
  bad('0.iova', notU64),
  ...access,
];
const iovaRange = [
  bad('0', [undefined, ...notOptions]),
  bad('0.iova', [undefined, ...notU64]),
  bad('0.length', [undefined, ...notU64, 0]),
];
const inclusive = [
  bad('0', [undefined, null, 'x', 1, {}, [undefined], ['x'], [1]]),
  bad('0.0.start', [undefined, ...notU64]),
  bad('0.0.last', [undefined, ...notU64]),
];
const dirty = [...iovaRange, bad('0.pageSize', [...notNumber, 0, 3, 2 ** 53])];
const onOff = [bad('0', unset(notBoolean))];
const hwpt = [
  bad('0', [undefined, ...notOptions]),
  bad('0.device', [undefined, ...notNumber, { deviceId: 'x' }, { deviceId: -1 }]),
  bad('0.on', [undefined, ...notObjectOfOurs]),
  bad('0.dirtyTracking', notBoolean),
  bad('0.nestParent', notBoolean),
];
const hwInfo = [bad('0', [undefined, ...notNumber, { deviceId: 'x' }, U32_OVER])];
const notAddress = [undefined, ...notWord, '00:05.0', '0000:00:05.8', '0000:00:05.0\n', '../0000:00:05.0', 1n];
const bindDevice = [bad('0', notAddress), bad('1', notOptions), bad('1.unbind', notBoolean)];
const openDevice = [bad('0', notAddress), bad('1', notOptions), bad('1.iommufd', notObjectOfOurs)];
const openGroup = [bad('0', [undefined, ...notNumber, 2 ** 31])];
const notIndex = [
  undefined,
  ...notNumber.filter((value) => typeof value !== 'string'),
  'bar6',
  '',
  'toString',
  U32_OVER,
];
const index = [bad('0', notIndex)];
const irq = [bad('0', notIndex), bad('1', notOptions), bad('1.vectors', [...notNumber, 0, 2049])];
const vector = [bad('0', [...notNumber, 1])];
const target = [bad('0', [undefined, ...notObjectOfOurs])];
const feature = [bad('0', notIndex), bad('1', unset(notWord))];
const featureData = [...feature, bad('2', [undefined, ...notBytes])];
const at = bad('0', [undefined, ...notU64, 256, 1n << 40n]);
const register = [at, bad('1', [undefined, ...notNumber, 0, 3, 16])];
const registerValue = [...register, bad('2', [undefined, ...notU64, 0x1_0000])];
const regionMap = [
  bad('0', notOptions),
  bad('0.offset', [...notPages, PAGE]),
  bad('0.size', [...notU64, 0, 257]),
  bad('0.prot', [...notNumber, 4]),
];

export const table: Table = {
  host: {
    createVm,
    tryCreateVm: createVm,
    guestSupport: [],
    hugePagePools: [],
    sevAttributes: [],
    trySevAttributes: [],
    iommufd: [],
    tryIommufd: [],
    memory,
    tryMemory: memory,
  },
  raw: {
    ioctl: issue,
    tryIoctl: issueFields,
    ioctlSync: issue,
    tryIoctlSync: issue,
    ioctlMany: many,
    tryIoctlMany: many,
    close: [bad('0', [undefined, ...notNumber, 2 ** 31, 999])],
  },
  vm: {
    checkExtension: [bad('0', [undefined, ...notCapability])],
    tryCheckExtension: [bad('0', [undefined, ...notCapability])],
    enableCap,
    tryEnableCap: enableCap,
    createGuestMemfd,
    tryCreateGuestMemfd: rawFlags,
    setMemoryRegion: region,
    trySetMemoryRegion: [...region.filter(({ at }) => at !== '0.gmemOffset'), bad('0.gmemOffset', [0, 0n])],
    deleteMemoryRegion: slot,
    tryDeleteMemoryRegion: slot,
    createVcpu,
    tryCreateVcpu: createVcpu,
    createGuest,
    tryCreateGuest: createGuest,
    setMemoryAttributes: [...attributes, bad('0.to', [undefined, ...notWord]), bad('0.attributes', [8n, 'x'])],
    trySetMemoryAttributes: [...attributes, bad('0.attributes', [undefined, ...notU64]), bad('0.to', ['private'])],
    vfio: [],
    tryVfio: [],
  },
  gmem: {
    map,
    tryMap: map,
    convert,
    tryConvert: convert.filter(({ at }) => at !== '1.signal'),
    punchHole: range,
    tryPunchHole: range,
    allocate: range,
    tryAllocate: range,
    stat: [],
    tryStat: [],
    dup: [],
    tryDup: [],
  },
  mapping: { read: span, tryRead: span, write, tryWrite: write, fill, tryFill: fill },
  region: { delete: [], tryDelete: [] },
  vcpu: {
    regs: [],
    setRegs: regs,
    sregs: [],
    setSregs: sregs,
    mpState: [],
    setMpState: [bad('0', [undefined, ...notNumber, U32_OVER])],
    run,
    tryRun: run,
    exits: run,
    interrupt: [],
    completeExit: [],
    ioData,
    respond: [
      // What looks like the last exit is not it.
      bad('0', [undefined, ...notOptions, { reason: 'hlt' }, { reason: 'io', write: false, size: 1, count: 1 }]),
      bad('1', [undefined, ...notBytes, 0, -1n, new Uint8Array(0), new Uint8Array(2)]),
    ],
    preFault,
    tryPreFault: preFault,
  },
  vmVfio: { add: target, tryAdd: target, remove: target, tryRemove: target },
  iommufd: {
    allocIoas: [],
    tryAllocIoas: [],
    allocHwpt: hwpt,
    tryAllocHwpt: hwpt,
    hwInfo,
    tryHwInfo: hwInfo,
    rlimitMode: [],
    tryRlimitMode: [],
    setRlimitMode: [bad('0', unset(notWord))],
    trySetRlimitMode: [bad('0', unset(notWord))],
    vfioContainer: [],
    tryVfioContainer: [],
    vfioIoas: [],
    tryVfioIoas: [],
    setVfioIoas: [bad('0', notObjectOfOurs)],
    trySetVfioIoas: [bad('0', notObjectOfOurs)],
    changeProcess: [],
    tryChangeProcess: [],
    destroy: [bad('0', [undefined, ...notNumber, U32_OVER])],
    tryDestroy: [bad('0', [undefined, ...notNumber, U32_OVER])],
  },
  ioas: {
    map: mapMemory(),
    tryMap: mapMemory(),
    mapFile,
    tryMapFile: mapFile,
    mapAll: mapAll(),
    tryMapAll: mapAll(),
    unmap: iovaRange,
    tryUnmap: iovaRange,
    unmapAll: [],
    tryUnmapAll: [],
    isMapped: iovaRange,
    tryIsMapped: iovaRange,
    copy,
    tryCopy: copy,
    allowIovas: inclusive,
    tryAllowIovas: inclusive,
    iovaRanges: [],
    tryIovaRanges: [],
    hugePages: [],
    tryHugePages: [],
    setHugePages: onOff,
    trySetHugePages: onOff,
    tryClose: [],
  },
  mockDevice: { replace: target, tryReplace: target, tryClose: [] },
  hwpt: {
    setDirtyTracking: onOff,
    trySetDirtyTracking: onOff,
    dirtyBitmap: [...dirty, bad('0.clear', notBoolean)],
    tryDirtyBitmap: [...dirty, bad('0.clear', notBoolean)],
    tryClose: [],
  },
  vfio: {
    devices: [],
    device: [bad('0', notAddress)],
    groups: [],
    bind: bindDevice,
    tryBind: bindDevice,
    openDevice,
    tryOpenDevice: openDevice,
    openGroup,
    tryOpenGroup: openGroup,
    openContainer: [],
    tryOpenContainer: [],
  },
  binding: { tryClose: [] },
  container: {
    apiVersion: [],
    tryApiVersion: [],
    checkExtension: [bad('0', [undefined, ...notWord.filter((value) => value !== 0), -1, 1.5, 0x1_0000])],
    tryCheckExtension: [bad('0', [undefined, ...notWord.filter((value) => value !== 0), -1, 1.5, 0x1_0000])],
    setIommu: [bad('0', unset(notWord))],
    trySetIommu: [bad('0', unset(notWord))],
    info: [],
    tryInfo: [],
    mapDma: mapMemory(undefined),
    tryMapDma: mapMemory(undefined),
    mapAll: mapAll(undefined),
    tryMapAll: mapAll(undefined),
    unmapDma: iovaRange,
    tryUnmapDma: iovaRange,
    unmapAll: [],
    tryUnmapAll: [],
    setDirtyTracking: onOff,
    trySetDirtyTracking: onOff,
    dirtyBitmap: dirty,
    tryDirtyBitmap: dirty,
  },
  group: {
    status: [],
    tryStatus: [],
    setContainer: target,
    trySetContainer: target,
    unsetContainer: [],
    tryUnsetContainer: [],
    openDevice: [bad('0', [undefined, null, 1, {}, [], true, 'a\0b', 'x'.repeat(256)])],
    tryOpenDevice: [bad('0', [undefined, null, 1, {}, [], true, 'a\0b', 'x'.repeat(256)])],
  },
  device: {
    bind: target,
    tryBind: target,
    attach: target,
    tryAttach: target,
    detach: [],
    tryDetach: [],
    info: [],
    tryInfo: [],
    region: index,
    tryRegion: index,
    irqInfo: index,
    tryIrqInfo: index,
    irq,
    tryIrq: irq,
    reset: [],
    tryReset: [],
    hasFeature: feature,
    feature: featureData,
    tryFeature: featureData,
    setBusMaster: onOff,
    trySetBusMaster: onOff,
  },
  config: {
    read: register,
    tryRead: register,
    write: registerValue,
    tryWrite: registerValue,
    readBytes: [at, bad('1', [undefined, ...notNumber, 0, 257])],
    tryReadBytes: [at, bad('1', [undefined, ...notNumber, 0, 257])],
    writeBytes: [at, bad('1', [undefined, ...notBytes, new Uint8Array(0), new Uint8Array(257)])],
    tryWriteBytes: [at, bad('1', [undefined, ...notBytes, new Uint8Array(0), new Uint8Array(257)])],
    map: regionMap,
    tryMap: regionMap,
  },
  irq: {
    wait: [...vector, bad('1', notOptions), bad('1.timeoutMs', [...notNumber, 2 ** 31]), bad('1.signal', notSignal)],
    trigger: vector,
    mask: vector,
    unmask: vector,
  },
  guest: {
    read: [gpa, bad('1', [undefined, ...notNumber, 2 ** 30 + 1]), ...byGuest('2')],
    write: [gpa, bad('1', [undefined, ...notBytes]), ...byGuest('2')],
    fill: [
      gpa,
      bad('1', [undefined, ...notNumber, Number.MAX_SAFE_INTEGER]),
      bad('2', [undefined, ...notNumber, 256]),
      ...byGuest('3'),
    ],
    mapGpaRange: [
      bad('0', [undefined, ...notPages, 1n << 52n]),
      bad('1', [undefined, ...notPageCount, 1n << 52n, (1n << 64n) - 4096n]),
      bad('2', [undefined, ...notWord]),
      ...byGuest('3'),
    ],
  },
};

/** Of raw, by number and by declarations with and without an `address` field: buffers of the wrong kind and size. */
export const rawCalls: readonly { readonly title: string; args(objects: Objects): unknown[] }[] = [
  { title: 'a short buffer', args: ({ vm }) => [vm, KVM_CREATE_GUEST_MEMFD.request, new Uint8Array(63)] },
  { title: 'an empty buffer', args: ({ vm }) => [vm, KVM_CREATE_GUEST_MEMFD.request, new Uint8Array(0)] },
  { title: 'a detached buffer', args: ({ vm }) => [vm, KVM_CREATE_GUEST_MEMFD.request, detached()] },
  { title: 'a detached buffer and no size', args: ({ vm }) => [vm, KVM_CHECK_EXTENSION.request, detached()] },
  { title: 'a number for a struct', args: ({ vm }) => [vm, KVM_CREATE_GUEST_MEMFD.request, 4096] },
  { title: 'null', args: ({ vm }) => [vm, KVM_CREATE_GUEST_MEMFD.request, null] },
  { title: 'fields', args: ({ vm }) => [vm, KVM_CREATE_GUEST_MEMFD.request, { size: 1n }] },
  { title: 'a bigint', args: ({ vm }) => [vm, KVM_CHECK_EXTENSION.request, 3n] },
  { title: 'an address that is a number', args: ({ vm }) => [vm, KVM_CREATE_GUEST_MEMFD.request, { address: 1 }] },
  { title: 'other bytes', args: ({ vm }) => [vm, KVM_CREATE_GUEST_MEMFD.request, new Uint16Array(32)] },
  { title: 'bytes for a value', args: ({ vm }) => [vm, KVM_CHECK_EXTENSION, new Uint8Array(8)] },
  { title: 'an address field too large', args: ({ vm }) => [vm, KVM_SET_MEMORY_ATTRIBUTES, { address: 1n << 64n }] },
  ...notObject.map((fd) => ({ title: `fd ${typeof fd}`, args: () => [fd === 1 ? -1 : fd, KVM_CHECK_EXTENSION, 3] })),
];
