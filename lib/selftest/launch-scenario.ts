/** The fixture of the cases that bring a confidential VM up: one file in its memory, with private pages for a launch. */

import { PAGE_SIZE } from '../abi/index.ts';
import type { GuestMemfd, LaunchOptions, Mapping, Vm, VmType } from '../kvm/index.ts';
import { tryLaunch } from '../kvm/index.ts';
import type { T } from './context.ts';
import type { Requires } from './requires.ts';
import { GUEST_START } from './scenario.ts';

export type Confidential = Extract<VmType, 'snp' | 'tdx'>;

export const CONFIDENTIAL: Readonly<Record<Confidential, Confidential>> = { snp: 'snp', tdx: 'tdx' };

/** Launched guests take no requests; the mock knows what one finds. */
export const GUEST_VIEW: Requires = { guest: true, mock: true };

export const ofType =
  (others: Requires = {}) =>
  (vmType: Confidential): Requires => ({ vmType, ...others });

const PAGES = 4;
const SIZE = PAGES * PAGE_SIZE;

export class LaunchScenario {
  readonly vm: Vm;
  readonly gmem: GuestMemfd;
  readonly mapping: Mapping | undefined;
  readonly #t: T;

  private constructor(t: T, vm: Vm, gmem: GuestMemfd, mapping: Mapping | undefined) {
    this.#t = t;
    this.vm = vm;
    this.gmem = gmem;
    this.mapping = mapping;
  }

  /** A VM as KVM_CREATE_VM left it, with four pages that the host may touch where the kernel has that. */
  static async create(t: T, type: Confidential): Promise<LaunchScenario> {
    const vm = await t.unlaunchedVm(type);
    const isShared = t.features.createFlags[type]?.initShared === true;
    const gmem = await t.gmem(vm, isShared ? { size: SIZE, mmap: true, initially: 'shared' } : { size: SIZE });
    const mapping = isShared ? await gmem.map() : undefined;
    if (mapping) t.defer(() => mapping.close());
    const userspaceAddr = mapping ?? (await t.host.memory({ size: SIZE }));
    if (!mapping) t.defer(() => userspaceAddr.close());
    await vm.setMemoryRegion({ slot: 0, guestPhysAddr: GUEST_START, size: SIZE, gmem, userspaceAddr });
    return new LaunchScenario(t, vm, gmem, mapping);
  }

  async becomesPrivate(): Promise<void> {
    const attempt =
      this.#t.features.dialect === 'vm-attributes'
        ? this.vm.trySetMemoryAttributes({ address: GUEST_START, size: SIZE, to: 'private' })
        : this.gmem.tryConvert({ offset: 0, size: SIZE, to: 'private' });
    this.#t.succeeds(await attempt, 'making the pages private');
  }

  async tryLaunch(options: LaunchOptions): ReturnType<typeof tryLaunch> {
    const launched = await tryLaunch(this.vm, options);
    if (launched.ok) for (const vcpu of launched.value.vcpus) this.#t.defer(() => vcpu.close());
    return launched;
  }

  gpa(page: number): bigint {
    return GUEST_START + BigInt(page * PAGE_SIZE);
  }

  /** What the guest finds as private memory of its own. */
  async guestFinds(page: number, bytes: Uint8Array): Promise<void> {
    const read = await this.#t.guest(this.vm).read(this.gpa(page), bytes.byteLength, 'private');
    this.#t.equal(read, { ok: true, bytes }, `what the guest finds on page ${page}`);
  }
}

export const secret = new Uint8Array(PAGE_SIZE).fill(0x5e);
