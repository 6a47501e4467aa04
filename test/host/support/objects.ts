/** One of each object the typed API makes, on a watched mock. */

import type { Mapping, Vcpu, VcpuExit } from '../../../lib/kvm/index.ts';
import type { MockOptions } from '../../../lib/mock/index.ts';
import { openWatched } from './hosts.ts';
import type { Answers } from './seam.ts';

export const PAGE = 0x1000;
export const SIZE = 4 * PAGE;

export async function makeObjects(options: MockOptions = { kernel: 'rfc-v2' }, answers: Answers = {}) {
  const watched = await openWatched(options, answers);
  const { host } = watched;
  const vm = await host.createVm();
  const gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true, initially: 'shared' });
  const mapping = await gmem.map();
  const region = await vm.setMemoryRegion({ slot: 0, guestPhysAddr: 0, size: SIZE, gmem, userspaceAddr: mapping });
  watched.calls.length = 0;
  return { ...watched, host, raw: host.raw, vm, gmem, mapping, region };
}

/** With a vCPU and a guest as well, which has vCPUs of its own. */
export async function makeAllObjects(options?: MockOptions, answers?: Answers) {
  const objects = await makeObjects(options, answers);
  const vcpu = await objects.vm.createVcpu({ id: 7 });
  const exit = await portRead(vcpu, objects.mapping);
  const guest = await objects.vm.createGuest({ vcpus: 2, onHypercall: async () => 0 });
  objects.calls.length = 0;
  return { ...objects, vcpu, exit, guest };
}

/** An exit that waits for an answer: `in al, 0x10` at the start of the memory, which is as before afterwards. */
async function portRead(vcpu: Vcpu, memory: Mapping): Promise<VcpuExit> {
  await memory.write(0, Uint8Array.of(0xe4, 0x10));
  const sregs = await vcpu.sregs();
  await vcpu.setSregs({ ...sregs, cs: { ...sregs.cs, base: 0n, selector: 0 } });
  await vcpu.setRegs({ rflags: 2n });
  const exit = await vcpu.run();
  await memory.write(0, new Uint8Array(2));
  return exit;
}

export type Objects = Awaited<ReturnType<typeof makeAllObjects>>;
export type ObjectName = 'host' | 'raw' | 'vm' | 'gmem' | 'mapping' | 'region' | 'vcpu' | 'guest';
export const OBJECT_NAMES: readonly ObjectName[] = ['host', 'raw', 'vm', 'gmem', 'mapping', 'region', 'vcpu', 'guest'];
