/** A vCPU's fd: registers, the kvm_run area, and KVM_RUN on the mock's CPU. */

import { KVM_MEMORY_ENCRYPT_OP } from '../../abi/encrypt-op.ts';
import { errno } from '../../abi/errno.ts';
import type { IoctlOut } from '../../abi/ioctl.ts';
import { PAGE_SIZE } from '../../abi/linux.ts';
import {
  KVM_GET_MP_STATE,
  KVM_GET_REGS,
  KVM_GET_SREGS,
  KVM_HC_MAP_GPA_RANGE,
  KVM_MP_STATE_RUNNABLE,
  KVM_PRE_FAULT_MEMORY,
  KVM_RUN,
  KVM_SET_CPUID2,
  KVM_SET_MP_STATE,
  KVM_SET_REGS,
  KVM_SET_SREGS,
} from '../../abi/vcpu.ts';
import type { Stat } from '../../syscalls/seam.ts';
import { Cpu, type Stop } from '../cpu/index.ts';
import type { Folio } from '../memory.ts';
import { MockFile, type UserMemory, type Vma } from '../process/index.ts';
import { isAligned, toBytes, toPages, wraps } from '../ranges.ts';
import { Dispatcher, type WriteBack } from './dispatch.ts';
import { type GuestExit, preFault } from './guest.ts';
import { guestPhysicalMemory } from './guest-physical.ts';
import { RUN_AREA_PAGES, RunArea } from './run-area.ts';
import type { Vm } from './vm.ts';

const REGISTERS = new Set([KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS].map(({ request }) => request));

export class VcpuFile extends MockFile {
  readonly id: number;
  readonly vm: Vm;
  readonly area = new RunArea();
  readonly cpu: Cpu<GuestExit>;
  mpState = KVM_MP_STATE_RUNNABLE;
  /** What KVM does first at the next KVM_RUN: the rest of the instruction that made the exit. */
  pending: (() => Stop<GuestExit> | undefined) | undefined;
  /** The guest goes on for ever: KVM_RUN would not come back unless it is interrupted. */
  spinning = false;

  constructor(vm: Vm, id: number, reset: { regs: Cpu<GuestExit>['regs']; sregs: Cpu<GuestExit>['sregs'] }) {
    super();
    this.id = id;
    this.vm = vm.get();
    const paging = (): boolean => this.cpu.pagingIsOn;
    this.cpu = new Cpu(guestPhysicalMemory(vm, paging), reset.regs, reset.sregs);
  }

  override ioctl(request: number, user: UserMemory): number {
    if (this.vm.refusal !== 0) return this.vm.refusal;
    const { hardware } = this.vm;
    if (request === KVM_MEMORY_ENCRYPT_OP.request) return hardware.vcpuCommand(this.id, user);
    if (REGISTERS.has(request) && hardware.sealsRegisters(this.id)) return -errno.EINVAL;
    return dispatcher.run(this, request, user, -errno.EINVAL);
  }

  override mmap(_vma: Vma): number {
    return 0;
  }

  override fault(page: number): Folio | number {
    return page < RUN_AREA_PAGES ? this.area.folio(page) : -errno.EFAULT;
  }

  stat(): Stat {
    return { ino: 1n, mode: 0o600, nlink: 1, size: 0n, blksize: PAGE_SIZE, blocks: 0n };
  }

  /** On an anonymous inode, as all of KVM's files are: since 6.17 they count as lying on a file system without programs. */
  override get noExec(): boolean {
    return true;
  }

  /** The vCPU itself stays until the VM goes, and so its id stays taken. */
  protected override release(): void {
    this.vm.put();
  }
}

/** KVM_RUN: finishes what is pending, then enters the guest unless it is told not to. */
function run(vcpu: VcpuFile, argument: bigint): number {
  if (argument !== 0n) return -errno.EINVAL;
  vcpu.spinning = false;
  const { pending } = vcpu;
  vcpu.pending = undefined;
  const again = pending?.();
  if (again) return leave(vcpu, again);
  if (vcpu.area.immediateExit) return vcpu.area.interrupted();
  const { hardware } = vcpu.vm;
  if (hardware.needsInitialization(vcpu.id)) return -errno.EINVAL;
  if (hardware.entryFails(vcpu.id)) return vcpu.area.failEntry();
  while (true) {
    const stop = vcpu.cpu.run();
    if (stop.kind !== 'hypercall' || isForUserspace(vcpu)) return leave(vcpu, stop);
    vcpu.cpu.finishHypercall(-KVM_ENOSYS);
  }
}

/** KVM_ENOSYS: what a guest gets for a hypercall nobody knows. */
const KVM_ENOSYS = 1000n;

const isForUserspace = ({ vm, cpu }: VcpuFile): boolean =>
  cpu.regs.rax === KVM_HC_MAP_GPA_RANGE && vm.exitsOnMapGpaRange;

/** Leaves the exit in kvm_run, and for the next KVM_RUN the rest of the instruction that made it. */
function leave(vcpu: VcpuFile, stop: Stop<GuestExit>): number {
  const { area, cpu } = vcpu;
  switch (stop.kind) {
    case 'memory':
      return leaveForMemory(vcpu, stop);
    case 'out':
      vcpu.pending = finishUnlessMoved(cpu);
      return area.out(stop.port, stop.byte);
    case 'in':
      vcpu.pending = finishUnlessMoved(cpu, () => area.portAnswer);
      return area.in(stop.port);
    case 'hypercall':
      vcpu.pending = () => {
        cpu.finishHypercall(area.hypercallAnswer);
        return undefined;
      };
      return area.hypercall(cpu.regs.rax, [cpu.regs.rbx, cpu.regs.rcx, cpu.regs.rdx]);
    case 'hlt':
      // With an interrupt controller of its own KVM waits for an interrupt, and the mock has none.
      vcpu.spinning = vcpu.vm.hasSplitIrqchip;
      return vcpu.spinning ? area.interrupted() : area.halted();
    case 'illegal-state':
      return area.failEntry();
    case 'triple-fault':
      return area.shutdown();
    case 'unknown':
      return area.emulationFailed();
    case 'spinning':
      vcpu.spinning = true;
      return area.interrupted();
  }
}

/** complete_fast_pio_out() and _in(): where userspace set RIP elsewhere meanwhile, the old instruction is forgotten. */
function finishUnlessMoved(cpu: Cpu<GuestExit>, answer?: () => number): () => undefined {
  const { rip } = cpu.regs;
  return () => {
    if (cpu.regs.rip === rip) cpu.finishPort(answer?.());
    return undefined;
  };
}

type MemoryStop = Extract<Stop<GuestExit>, { kind: 'memory' }>;

function leaveForMemory(vcpu: VcpuFile, { exit, during, byte }: MemoryStop): number {
  switch (exit.reason) {
    case 'memory-fault':
      return vcpu.area.memoryFault(exit);
    case 'mmio':
      // KVM's emulator reads neither instructions nor page tables from where there is no memory.
      if (during === 'fetch') return vcpu.area.emulationFailed();
      if (during === 'walk') return vcpu.area.shutdown();
      // What was written is gone, and the registers say so; what is read has yet to come.
      if (exit.write) vcpu.cpu.finishMmio(undefined);
      else vcpu.pending = () => vcpu.cpu.finishMmio(vcpu.area.mmioAnswer);
      return vcpu.area.mmio(exit.gpa, exit.write, byte);
    case 'failed':
      return exit.errno;
    case 'shutdown':
      return vcpu.area.shutdown();
    case 'retry':
      return vcpu.area.interrupted();
  }
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);

type PreFault = typeof KVM_PRE_FAULT_MEMORY;

/** kvm_vcpu_pre_fault_memory(): success once a single page was mapped; what is left goes back in the struct. */
function preFaultMemory(vcpu: VcpuFile, args: IoctlOut<PreFault>, writeBack: WriteBack<PreFault>): number {
  const { vm } = vcpu;
  if (!vm.machine.profile.capabilities.KVM_CAP_PRE_FAULT_MEMORY) return -errno.EINVAL;
  const { gpa, size, flags } = args;
  const { hardware } = vm;
  const bad = flags !== 0n || !isAligned(gpa) || !isAligned(size) || size === 0n || wraps(gpa, size);
  let done = 0n;
  let result = bad ? -errno.EINVAL : hardware.preFaultAllowed ? 0 : -errno.EOPNOTSUPP;
  if (result === 0 && gpa & hardware.sharedBit) result = -errno.EINVAL;
  while (result === 0 && done < size) {
    const found = preFault(vm, toPages(gpa + done));
    if ('reason' in found) result = 'errno' in found ? found.errno : -errno.ENOENT;
    else done = least(size, toBytes(found.gfns.end) - gpa);
  }
  return writeBack({ ...args, gpa: gpa + done, size: size - done }) || (done > 0n ? 0 : result);
}

const dispatcher = new Dispatcher<VcpuFile>()
  .on(KVM_RUN, run)
  .on(KVM_GET_REGS, (vcpu, _args, writeBack) => writeBack(vcpu.cpu.regs))
  .on(KVM_SET_REGS, (vcpu, regs) => {
    vcpu.cpu.regs = regs;
    return 0;
  })
  .on(KVM_GET_SREGS, (vcpu, _args, writeBack) => writeBack(vcpu.cpu.sregs))
  .on(KVM_SET_SREGS, (vcpu, sregs) => {
    vcpu.cpu.sregs = sregs;
    return 0;
  })
  .on(KVM_SET_CPUID2, () => 0)
  .on(KVM_GET_MP_STATE, (vcpu, _args, writeBack) => writeBack({ mp_state: vcpu.mpState }))
  // Without an in-kernel interrupt controller there is nothing to wait for.
  .on(KVM_SET_MP_STATE, (_vcpu, { mp_state }) => (mp_state === KVM_MP_STATE_RUNNABLE ? 0 : -errno.EINVAL))
  .on(KVM_PRE_FAULT_MEMORY, preFaultMemory);
