/** One of each object the typed API makes, on a watched mock. */

import type { Host, Mapping, Vcpu, VcpuExit } from '../../../lib/kvm/index.ts';
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
  const devices = await makeDevices(objects.host);
  const vmVfio = await objects.vm.vfio();
  objects.calls.length = 0;
  return { ...objects, ...devices, vmVfio, vcpu, exit, guest };
}

/** What iommufd and VFIO have: the device through its group, since that is had in one way at a time. */
async function makeDevices(host: Host) {
  const { vfio } = host;
  const iommufd = await host.iommufd();
  const ioas = await iommufd.allocIoas();
  const mockDomain = await iommufd.allocIoas();
  const mockDevice = await iommufd.test.mockDevice(mockDomain);
  const hwpt = await iommufd.allocHwpt({ device: mockDevice, on: ioas, dirtyTracking: true });
  const container = await vfio.openContainer();
  const { address, group: number } = (await vfio.devices())[0]!;
  const binding = await vfio.bind(address);
  const group = await vfio.openGroup(number!);
  await group.setContainer(container);
  await container.setIommu('type1v2');
  const device = await group.openDevice(address);
  const config = await device.region('config');
  const irq = await device.irq('msi');
  return { vfio, iommufd, ioas, mockDomain, mockDevice, hwpt, container, binding, group, device, config, irq, address };
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
export const OBJECT_NAMES = [
  'host',
  'raw',
  'vm',
  'gmem',
  'mapping',
  'region',
  'vcpu',
  'guest',
  'vmVfio',
  'iommufd',
  'ioas',
  'mockDevice',
  'hwpt',
  'vfio',
  'binding',
  'container',
  'group',
  'device',
  'config',
  'irq',
] as const satisfies readonly (keyof Objects)[];
export type ObjectName = (typeof OBJECT_NAMES)[number];
