/** Which request goes to which file, and what anything else is answered. */

import {
  type ErrnoName,
  KVM_CREATE_GUEST_MEMFD,
  KVM_CREATE_VM,
  KVM_ENABLE_CAP,
  KVM_GET_API_VERSION,
  KVM_GMEM_CONVERT_PRIVATE,
  KVM_GMEM_CONVERT_SHARED,
  KVM_SET_MEMORY_ATTRIBUTES,
  KVM_SET_MEMORY_ATTRIBUTES2,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SET_USER_MEMORY_REGION2,
  PAGE_SIZE,
  requestName,
} from '../../abi/index.ts';
import { eventfd, memfd, NO_FD } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { vmAttributes } from '../facts.ts';

type Kind = 'dev-kvm' | 'vm' | 'guest-memfd' | 'memfd' | 'eventfd' | 'nothing-open';

/** A file of each kind; what had to be made for it goes with the case. */
const open: Readonly<Record<Kind, (t: T) => Promise<number>>> = {
  'dev-kvm': async (t) => t.host.fd,
  vm: async (t) => (await t.vm()).fd,
  'guest-memfd': async (t) => (await t.gmem(await t.vm(), { size: 4 * PAGE_SIZE })).fd,
  memfd: (t) => memfd(t, PAGE_SIZE),
  eventfd,
  'nothing-open': async () => NO_FD,
};

/** What a file says to a request it does not know. /dev/kvm has its default in kvm_arch_dev_ioctl(). */
const UNKNOWN: Readonly<Record<Kind, ErrnoName>> = {
  'dev-kvm': 'EINVAL',
  vm: 'ENOTTY',
  'guest-memfd': 'ENOTTY',
  memfd: 'ENOTTY',
  eventfd: 'ENOTTY',
  'nothing-open': 'EBADF',
};

/** KVM_LINK_GUEST_MEMFD of a series of its own, and an earlier number of KVM_SET_MEMORY_ATTRIBUTES2. */
const LINK_GUEST_MEMFD = 0xc040_aed6;
/** vhost-scsi has the type and the numbers of KVM_GMEM_CONVERT_*, with other sizes and directions. */
const VHOST_SCSI = [0x40e8_af41, 0x4004_af42];

const STRUCTS = [
  KVM_ENABLE_CAP,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SET_USER_MEMORY_REGION2,
  KVM_SET_MEMORY_ATTRIBUTES,
  KVM_CREATE_GUEST_MEMFD,
  KVM_GMEM_CONVERT_SHARED,
  KVM_GMEM_CONVERT_PRIVATE,
  KVM_SET_MEMORY_ATTRIBUTES2,
].map(({ request }) => request);

/** The requests with a struct that a file of this kind knows on this kernel. */
function known(t: T, kind: Kind): readonly number[] {
  const { dialect } = t.features;
  if (kind === 'vm') {
    const always = [KVM_ENABLE_CAP, KVM_SET_USER_MEMORY_REGION, KVM_SET_USER_MEMORY_REGION2, KVM_CREATE_GUEST_MEMFD];
    const attributes = vmAttributes(t.host) === 'absent' ? [] : [KVM_SET_MEMORY_ATTRIBUTES];
    return [...always, ...attributes].map(({ request }) => request);
  }
  if (kind !== 'guest-memfd') return [];
  if (dialect === 'rfc-convert') return [KVM_GMEM_CONVERT_SHARED.request, KVM_GMEM_CONVERT_PRIVATE.request];
  return dialect === 'attributes2' ? [KVM_SET_MEMORY_ATTRIBUTES2.request] : [];
}

const kinds = Object.fromEntries(Object.keys(open).map((kind) => [kind, kind])) as Readonly<Record<Kind, Kind>>;

const routing = defineCase<Kind>({
  name: 'request-on-the-wrong-file',
  about:
    'A file answers the requests it knows; whatever else it is given is ENOTTY, on /dev/kvm EINVAL, before the struct ' +
    'is looked at (kvm_vm_ioctl(), kvm_dev_ioctl(), RFC v2 patch 04).',
  variants: kinds,
  async run(t, kind) {
    const fd = await open[kind](t);
    const itsOwn = known(t, kind);
    for (const request of [...STRUCTS, LINK_GUEST_MEMFD, ...VHOST_SCSI]) {
      const code = itsOwn.includes(request) ? 'EFAULT' : UNKNOWN[kind];
      const what = `${requestName(request)} with a null pointer`;
      t.fails(await t.host.raw.tryIoctl(fd, request, 0), code, what);
      if (itsOwn.includes(request)) continue;
      const bytes = new Uint8Array(256).fill(0xee);
      t.fails(await t.host.raw.tryIoctl(fd, request, bytes), UNKNOWN[kind], `${requestName(request)} with garbage`);
      t.equal(bytes, new Uint8Array(256).fill(0xee), 'the garbage afterwards');
    }
  },
});

const plainValues = defineCase<Kind>({
  name: 'request-of-dev-kvm-on-another-file',
  about: 'KVM_CREATE_VM and KVM_GET_API_VERSION are for /dev/kvm alone (kvm_dev_ioctl()).',
  variants: Object.fromEntries(Object.entries(kinds).filter(([kind]) => kind !== 'dev-kvm')),
  async run(t, kind) {
    const fd = await open[kind](t);
    for (const { request } of [KVM_CREATE_VM, KVM_GET_API_VERSION]) {
      t.fails(await t.host.raw.tryIoctl(fd, request, 0), UNKNOWN[kind], requestName(request));
    }
  },
});

const dead = defineCase({
  name: 'request-on-a-dead-vm',
  about:
    'A VM that KVM has killed answers EIO to everything, also to what it does not know or cannot read; its ' +
    'guest_memfds go on (kvm_vm_ioctl(), vm_dead).',
  requires: { faults: true, flags: ['init-shared'] },
  async run(t) {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: PAGE_SIZE, mmap: true, initially: 'shared' });
    const mapping = await gmem.map();
    t.defer(() => mapping.close());
    await mapping.fill(0, PAGE_SIZE, 0x18);
    t.mock.killVm(vm.fd);
    const { raw } = t.host;
    for (const request of [...STRUCTS, LINK_GUEST_MEMFD]) {
      t.fails(await raw.tryIoctl(vm, request, 0), 'EIO', `${requestName(request)} with a null pointer`);
    }
    const attempt = await vm.tryCheckExtension('KVM_CAP_GUEST_MEMFD');
    const { error } = t.fails(attempt, 'EIO', 'KVM_CHECK_EXTENSION');
    t.equal(error.name, 'VmDeadError', 'the error');
    t.fails(await vm.tryCreateGuestMemfd({ size: PAGE_SIZE }), 'EIO', 'creating a guest_memfd');
    t.equal(await mapping.read(0, PAGE_SIZE), new Uint8Array(PAGE_SIZE).fill(0x18), 'what the host has mapped');
    t.succeeds(await gmem.tryPunchHole({ offset: 0, size: PAGE_SIZE }), 'punching');
    t.equal(await mapping.read(0, PAGE_SIZE), new Uint8Array(PAGE_SIZE), 'the hole');
    t.succeeds(await gmem.tryAllocate({ offset: 0, size: PAGE_SIZE }), 'allocating');
  },
});

export const cases: readonly AnyCase[] = [routing, plainValues, dead];
