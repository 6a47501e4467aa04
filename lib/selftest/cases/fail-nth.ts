/** Every allocation inside a call fails once: the answer is ENOMEM, and all is as it was. */

import {
  KVM_CREATE_GUEST_MEMFD,
  KVM_MEM_GUEST_MEMFD,
  KVM_PRE_FAULT_MEMORY,
  KVM_SET_MEMORY_ATTRIBUTES,
  KVM_SET_USER_MEMORY_REGION2,
  MAP_SHARED,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
} from '../../abi/index.ts';
import { success } from '../../host/index.ts';
import { answered } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS, RawConversion, type State } from '../conversion.ts';
import { GuestMemory } from '../guest-memory.ts';
import { HostFile } from '../host-file.ts';
import { PATTERN, PatternFile } from '../pattern.ts';
import { checkCovered, deleteSlot } from '../region.ts';
import { GUEST_START } from '../scenario.ts';
import { sweepAllocations } from '../sweep.ts';

const GPA = 0x1_0000_0000n;
const KEEP_SIZE = 1;

const creates = defineCase({
  name: 'fail-nth-create',
  about: 'KVM_CREATE_GUEST_MEMFD without memory at any point leaves no fd and no memory behind (kvm_gmem_create()).',
  requires: { failNth: true },
  async run(t) {
    const vm = await t.vm();
    await sweepAllocations(t, {
      what: 'creating a guest_memfd',
      prepare: async () => ({ fds: t.host.mock?.openFds, pages: t.host.mock?.pagesInUse }),
      call: () => {
        const outcome = t.host.raw.tryIoctlSync(vm, KVM_CREATE_GUEST_MEMFD, { size: 4 * PAGE_SIZE });
        return outcome.ok ? success(outcome.ret) : outcome;
      },
      check: async (before, outcome) => {
        if (outcome.ok) await t.host.raw.close(outcome.value);
        const after = { fds: t.host.mock?.openFds, pages: t.host.mock?.pagesInUse };
        t.equal(after, before, 'fds and pages in use');
      },
    });
  },
});

const regions = defineCase({
  name: 'fail-nth-memory-region',
  about:
    'KVM_SET_USER_MEMORY_REGION2 without memory at any point makes no slot and binds nothing (kvm_set_memory_region()).',
  requires: { ...PATTERN, failNth: true },
  async run(t) {
    const file = await PatternFile.create(t);
    const region = { slot: 3, flags: KVM_MEM_GUEST_MEMFD, guest_phys_addr: GPA, memory_size: file.size };
    await sweepAllocations(t, {
      what: 'setting a memory region',
      prepare: async () => undefined,
      call: () => {
        const args = { ...region, guest_memfd: file.gmem.fd };
        const outcome = t.host.raw.tryIoctlSync(file.vm, KVM_SET_USER_MEMORY_REGION2, args);
        return outcome.ok ? success(outcome.ret) : outcome;
      },
      check: async (_, outcome) => {
        await checkCovered(t, file.vm, GPA, outcome.ok, 'after the call');
        if (outcome.ok) t.succeeds(await deleteSlot(t, file.vm, 3), 'deleting the slot');
        await file.isIntact('after the call');
      },
    });
  },
});

const allocates = defineCase({
  name: 'fail-nth-fallocate',
  about:
    'fallocate without memory at any point keeps what it has allocated, and all of it reads zero (kvm_gmem_allocate()).',
  requires: { ...PATTERN, failNth: true },
  async run(t) {
    await sweepAllocations(t, {
      what: 'allocating four pages',
      prepare: async () => {
        const file = await PatternFile.create(t, { written: false });
        return { file, before: t.host.mock?.pagesInUse };
      },
      call: ({ file }) => answered(t.host.raw.syscalls.fallocateSync(file.gmem.fd, KEEP_SIZE, 0n, BigInt(file.size))),
      check: async ({ file, before }, outcome) => {
        // No call of a real kernel tells what a guest_memfd has allocated.
        const pages = t.host.mock?.pagesInUse;
        if (outcome.ok && pages !== undefined)
          t.equal(pages - Number(before), file.pages, 'pages that success has allocated');
        await file.isIntact('after the call');
        await file.mapping.close();
        await file.gmem.close();
      },
    });
  },
});

const maps = defineCase({
  name: 'fail-nth-mmap',
  about: 'mmap of a guest_memfd without memory at any point maps nothing, and can be tried again (mmap_region()).',
  requires: { ...PATTERN, failNth: true },
  async run(t) {
    const file = await PatternFile.create(t);
    const { syscalls } = t.host.raw;
    await sweepAllocations(t, {
      what: 'mapping a guest_memfd',
      prepare: async () => undefined,
      call: () => answered(syscalls.mmapSync(file.size, PROT_READ | PROT_WRITE, MAP_SHARED, file.gmem.fd, 0n)),
      check: async (_, outcome) => {
        if (outcome.ok) {
          const found = new Uint8Array(file.size);
          t.equal(await syscalls.copyOut(outcome.value, found), file.size, 'bytes read through the new mapping');
          t.equal(found, file.contents, 'what is there');
          await syscalls.munmap(outcome.value, file.size);
        }
        await file.isIntact('after the call');
      },
    });
  },
});

/** What one page of a second-level page table translates: each try is at such a page of its own. */
const SPAN = 0x20_0000;
const TRIES = 64;

const preFaults = defineCase({
  name: 'fail-nth-pre-fault',
  about:
    'KVM_PRE_FAULT_MEMORY without memory at any point is ENOMEM, changes nothing and can be tried again, and the guest ' +
    'finds the memory (kvm_tdp_page_fault(), kvm_gmem_get_pfn()).',
  requires: { ...PATTERN, capability: 'KVM_CAP_PRE_FAULT_MEMORY', guest: true, failNth: true },
  async run(t) {
    const memory = await GuestMemory.create(t, 1, { size: TRIES * SPAN, backing: 'in-place' });
    const vcpu = await memory.vm.createVcpu({ id: 7 });
    t.defer(() => vcpu.close());
    const place = (offset: number) => ({ gpa: GUEST_START + BigInt(offset), size: PAGE_SIZE });
    // The first one fills the vCPU's caches.
    await vcpu.preFault(place(0));
    let offset = 0;
    await sweepAllocations(t, {
      what: 'pre-faulting a page',
      // What the vCPU has in its caches is used before memory is asked for.
      recovers: true,
      prepare: async () => {
        offset += SPAN;
        return offset;
      },
      call: (at) => {
        const outcome = t.host.raw.tryIoctlSync(vcpu, KVM_PRE_FAULT_MEMORY, place(at));
        return outcome.ok ? success(outcome.ret) : outcome;
      },
      check: async (at, outcome) => {
        if (!outcome.ok) await vcpu.preFault(place(at));
        await memory.guestFinds(at, PAGE_SIZE, 0);
        await memory.guestWrites(at, PAGE_SIZE, 0x5b);
        await memory.hostFinds(at, PAGE_SIZE, 0x5b);
      },
    });
  },
});

const LAYOUTS = { private: 'SPSPSPS', shared: 'PSPSPSP' } as const;

const converts = defineCase<State>({
  name: 'fail-nth-convert',
  about: 'A conversion in place without memory at any point changes no page, and can be tried again (RFC v2; v13).',
  requires: { ...CONVERTS, failNth: true },
  variants: { private: 'private', shared: 'shared' },
  async run(t, to) {
    const layout = LAYOUTS[to];
    await sweepAllocations(t, {
      what: `converting to ${to}`,
      prepare: async () => {
        const file = await HostFile.create(t, layout);
        return { file, conversion: new RawConversion(t, { offset: 0, size: file.size, to }) };
      },
      call: ({ file, conversion }) => {
        const outcome = t.host.raw.tryIoctlSync(file.gmem, conversion.request, conversion.bytes);
        return outcome.ok ? success(outcome.ret) : outcome;
      },
      check: async ({ file, conversion }, outcome) => {
        if (!outcome.ok) await file.is(layout, 'after the refusal');
        conversion.reset();
        await conversion.succeeds(file.gmem, 'converting again');
        await file.is((to === 'private' ? 'P' : 'S').repeat(layout.length), 'after the conversion');
        await file.mapping.close();
        await file.gmem.close();
      },
    });
  },
});

const attributes = defineCase({
  name: 'fail-nth-vm-attributes',
  about:
    'KVM_SET_MEMORY_ATTRIBUTES without memory at any point is ENOMEM, or makes do with a second try (xas_nomem()), and can ' +
    'be tried again (kvm_vm_set_mem_attributes()).',
  requires: { dialect: ['vm-attributes'], vmType: 'private', failNth: true },
  async run(t) {
    const args = { address: GPA, size: 64 * PAGE_SIZE, attributes: 8n };
    await sweepAllocations(t, {
      what: 'setting attributes',
      recovers: true,
      prepare: () => t.vm(),
      call: (vm) => {
        const outcome = t.host.raw.tryIoctlSync(vm, KVM_SET_MEMORY_ATTRIBUTES, args);
        return outcome.ok ? success(outcome.ret) : outcome;
      },
      check: async (vm) => {
        t.succeeds(await t.host.raw.tryIoctl(vm, KVM_SET_MEMORY_ATTRIBUTES, args), 'setting them again');
      },
    });
  },
});

export const cases: readonly AnyCase[] = [creates, regions, maps, allocates, preFaults, converts, attributes];
