/** Request numbers and plain arguments: every bit of them counts. */

import {
  KVM_CREATE_GUEST_MEMFD,
  KVM_CREATE_VM,
  KVM_GET_API_VERSION,
  KVM_SET_MEMORY_ATTRIBUTES2,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SET_USER_MEMORY_REGION2,
  PAGE_SIZE,
} from '../../abi/index.ts';
import { vmTypeNumbers } from '../../host/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { checkCovered } from '../region.ts';

const DIRECTIONS = 0xc000_0000;
const size = (request: number, bytes: number): number => ((request & ~0x3fff_0000) | (bytes << 16)) >>> 0;

const fullNumber = defineCase<number>({
  name: 'request-number-in-full',
  about:
    'Direction and size are part of a request’s number: the right number with the wrong struct is not EINVAL but ' +
    'ENOTTY (kvm_vm_ioctl()).',
  variants: {
    'create-smaller': size(KVM_CREATE_GUEST_MEMFD.request, 56),
    'create-larger': size(KVM_CREATE_GUEST_MEMFD.request, 72),
    'create-write-only': (KVM_CREATE_GUEST_MEMFD.request ^ 0x8000_0000) >>> 0,
    'create-without-a-struct': (KVM_CREATE_GUEST_MEMFD.request & ~(DIRECTIONS | 0x3fff_0000)) >>> 0,
    'create-of-another-type': ((KVM_CREATE_GUEST_MEMFD.request & ~0xff00) | 0xaf00) >>> 0,
    'region-with-the-size-of-region2': size(KVM_SET_USER_MEMORY_REGION.request, 160),
    'region2-with-the-size-of-region': size(KVM_SET_USER_MEMORY_REGION2.request, 32),
    'region2-larger': size(KVM_SET_USER_MEMORY_REGION2.request, 168),
    'region2-read-and-write': (KVM_SET_USER_MEMORY_REGION2.request | 0x8000_0000) >>> 0,
    'attributes-with-the-size-of-attributes2': KVM_SET_MEMORY_ATTRIBUTES2.request,
  },
  async run(t, request) {
    const vm = await t.vm();
    const values = { slot: 1, guest_phys_addr: 0x10_0000n, memory_size: BigInt(PAGE_SIZE) };
    const valid = [
      KVM_SET_USER_MEMORY_REGION2.struct.encode(values),
      KVM_CREATE_GUEST_MEMFD.struct.encode({ size: BigInt(PAGE_SIZE) }),
      new Uint8Array(128),
    ];
    for (const struct of valid) {
      const bytes = new Uint8Array(256);
      bytes.set(struct);
      const before = bytes.slice();
      t.fails(await t.host.raw.tryIoctl(vm, request, bytes), 'ENOTTY', `request 0x${request.toString(16)}`);
      t.equal(bytes, before, 'the bytes afterwards');
    }
    await checkCovered(t, vm, values.guest_phys_addr, false, 'afterwards');
  },
});

const apiVersion = defineCase({
  name: 'request-api-version',
  about: 'KVM_GET_API_VERSION is 12, and EINVAL with an argument (kvm_dev_ioctl()).',
  async run(t) {
    const { raw } = t.host;
    t.equal(t.succeeds(await raw.tryIoctl(t.host, KVM_GET_API_VERSION, 0), 'asking').ret, 12, 'the version');
    for (const argument of [1, 2 ** 32]) {
      t.fails(await raw.tryIoctl(t.host, KVM_GET_API_VERSION, argument), 'EINVAL', `asking with ${argument}`);
    }
  },
});

const createVm = defineCase({
  name: 'request-create-vm-type',
  about: 'Types that KVM_CAP_VM_TYPES does not list are EINVAL, however large (kvm_arch_init_vm()).',
  async run(t) {
    const listed = t.features.vmTypes.map((type) => vmTypeNumbers[type] as number);
    for (const type of [...Array(64).keys(), 2 ** 32, 2 ** 32 + 1, 2 ** 52].filter((type) => !listed.includes(type))) {
      const answer = await t.host.raw.tryIoctl(t.host, KVM_CREATE_VM, type);
      t.fails(answer, 'EINVAL', `creating a VM of type ${type}`);
    }
    const answer = await t.host.raw.tryIoctl(t.host, KVM_CREATE_VM, vmTypeNumbers.default);
    const { ret } = t.succeeds(answer, 'creating a default VM');
    await t.host.raw.close(ret);
  },
});

export const cases: readonly AnyCase[] = [fullNumber, apiVersion, createVm];
