/** From the fd of a new vCPU to a Vcpu that can run. */

import { type Context, type OwnedFd, type Result, success } from '../host/index.ts';
import { showHostCpu } from './cpuid.ts';
import { Vcpu } from './vcpu.ts';
import { RunArea } from './vcpu-run.ts';

export interface NewVcpu {
  /** The fd of /dev/kvm. */
  readonly system: number;
  readonly vm: OwnedFd;
  /** The fd that KVM_CREATE_VCPU answered. */
  readonly vcpu: number;
  readonly id: number;
}

/** Takes the fd over; it is closed again when a step fails. */
export async function startVcpu(context: Context, { system, vm, vcpu, id }: NewVcpu): Promise<Result<Vcpu>> {
  const handle = context.own('Vcpu', vcpu);
  const shown = await showHostCpu(context, system, vcpu);
  const area = shown.ok ? await RunArea.map(context, system, handle) : shown;
  if (area.ok) return success(new Vcpu(context, handle, { id, vm, area: area.value }));
  await context.close(handle);
  return area;
}
