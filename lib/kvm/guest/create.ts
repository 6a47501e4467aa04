/** Putting a guest into a VM. */

import { checkInteger, checkOptions, outOfRange, wrongType } from '../../abi/invalid.ts';
import {
  type Context,
  checkPages,
  failed,
  isKernelError,
  type Result,
  success,
  UnsupportedError,
  type VmType,
} from '../../host/index.ts';
import type { MemoryRegion, MemoryRegionOptions } from '../memory-region.ts';
import type { Vcpu } from '../vcpu.ts';
import { Guest } from './guest.ts';
import { GuestMemory } from './memory.ts';
import { LARGE_PAGE, LAST_ADDRESS } from './paging.ts';
import { GuestWorker, type OnHypercall } from './worker.ts';

export interface CreateGuestOptions {
  /** How many vCPUs, at most 64; 1 by default. */
  readonly vcpus?: number;
  /** Where its own memory is, a multiple of 2 MiB; 0xd0000000 by default. Nothing else may be there. */
  readonly guestPhysAddr?: number | bigint;
  /** The slot of its memory region; the last one by default. */
  readonly slot?: number;
  /** Answers hypercalls: what the guest gets back, or undefined to end the request with the exit. */
  readonly onHypercall?: OnHypercall;
}

/** What a guest needs of its VM. */
export interface GuestVm {
  readonly type: VmType;
  trySetMemoryRegion(options: MemoryRegionOptions): Promise<Result<MemoryRegion>>;
  tryCreateVcpu(options: { readonly id: number }): Promise<Result<Vcpu>>;
}

/** kvm->arch.has_protected_state: a request is a set of registers, which nobody can set once these are launched. */
const SEALED: readonly VmType[] = ['sev-es', 'snp', 'tdx'];

export const DEFAULT_BASE = 0xd000_0000n;
const MAX_VCPUS = 64;

interface Placement {
  readonly vcpus: number;
  readonly base: bigint;
  readonly slot: number;
  readonly onHypercall: OnHypercall | undefined;
}

function checkPlacement(options: CreateGuestOptions, slots: number): Placement {
  const known = ['vcpus', 'guestPhysAddr', 'slot', 'onHypercall'] as const;
  const {
    vcpus = 1,
    guestPhysAddr = DEFAULT_BASE,
    slot = slots - 1,
    onHypercall,
  } = checkOptions('options', options, known);
  checkInteger('options.vcpus', vcpus, 1, MAX_VCPUS);
  const base = checkPages('options.guestPhysAddr', guestPhysAddr, 0n, LAST_ADDRESS);
  if (base % BigInt(LARGE_PAGE) !== 0n) throw outOfRange('options.guestPhysAddr', 'a multiple of 2 MiB', guestPhysAddr);
  checkInteger('options.slot', slot, 0, 0xffff);
  if (onHypercall !== undefined && typeof onHypercall !== 'function') {
    throw wrongType('options.onHypercall', 'a function', onHypercall);
  }
  return { vcpus, base, slot, onHypercall };
}

/**
 * A vCPU with the first id from `id` on that is free: KVM gives up no id before the VM goes, so that those of guests
 * that were closed stay taken.
 */
async function nextVcpu(vm: GuestVm, id: number): Promise<Result<Vcpu>> {
  const vcpu = await vm.tryCreateVcpu({ id });
  return !vcpu.ok && vcpu.code === 'EEXIST' ? await nextVcpu(vm, id + 1) : vcpu;
}

/** What is made is closed again when a later part cannot be. */
export async function createGuest(vm: GuestVm, context: Context, options: CreateGuestOptions): Promise<Result<Guest>> {
  const { vcpus, base, slot, onHypercall } = checkPlacement(options, context.features.maxMemslots);
  if (SEALED.includes(vm.type)) {
    throw new UnsupportedError(
      `a guest of a VM of type ${vm.type} keeps its registers to itself: it runs what launch() put there, and takes no requests`,
    );
  }
  const memory = await GuestMemory.make(context, vcpus);
  if (!memory.ok) return memory;
  const { mapping, size } = memory.value;
  const region = await vm.trySetMemoryRegion({ slot, guestPhysAddr: base, size, userspaceAddr: mapping });
  if (!region.ok) {
    await mapping.close();
    return region;
  }
  const workers: GuestWorker[] = [];
  const guest = new Guest({ memory: memory.value, region: region.value, workers });
  for (let index = 0, id = 0; index < vcpus; index++) {
    const vcpu = await nextVcpu(vm, id);
    if (!vcpu.ok) {
      await guest.close();
      return vcpu;
    }
    id = vcpu.value.id + 1;
    try {
      workers.push(await GuestWorker.start(vcpu.value, memory.value, { base, index, onHypercall }));
    } catch (error) {
      await vcpu.value.close();
      await guest.close();
      if (isKernelError(error)) return failed(error);
      throw error;
    }
  }
  return success(new Guest({ memory: memory.value, region: region.value, workers }));
}
