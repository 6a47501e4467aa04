// @ts-check
import { status as exitStatus, Failure } from '../host/failure.mjs';
import { keepTag, ROOT_TAG } from './script.mjs';

/** The file descriptors QEMU finds its ends of the connections on; fd 3 is the lifeline (host/processes.mjs). */
export const PORTS = Object.freeze({ log: 4, monitor: 5, control: 6, out: 7, err: 8, in: 9 });

/**
 * PCI devices that a command can drive through VFIO. edu has a DMA engine and MSI; e1000 is a plain network card.
 * @type {Readonly<Record<string, { model: string, id: string } | undefined>>}
 */
export const DEVICES = Object.freeze({
  edu: { model: 'edu', id: '1234:11e8' },
  e1000: { model: 'e1000', id: '8086:100e' },
  e1000e: { model: 'e1000e', id: '8086:10d3' },
  none: undefined,
});

/**
 * An IOMMU: QEMU's device, and what the kernel must be told. Only Intel's remaps interrupts in the way the kernel wants
 * before it lets user space have a device (the kernel refuses the IVRS of QEMU's AMD IOMMU for that); the others need the
 * switches that say that this is only a test.
 * @type {Readonly<Record<string, { device?: string, parameters: string }>>}
 */
export const IOMMUS = Object.freeze({
  intel: { device: 'intel-iommu,intremap=on,aw-bits=48', parameters: 'intel_iommu=on' },
  amd: {
    device: 'amd-iommu,intremap=on',
    parameters: 'iommufd.allow_unsafe_interrupts=1 vfio_iommu_type1.allow_unsafe_interrupts=1',
  },
  virtio: {
    device: 'virtio-iommu-pci',
    parameters: 'iommufd.allow_unsafe_interrupts=1 vfio_iommu_type1.allow_unsafe_interrupts=1',
  },
  none: { parameters: 'intel_iommu=off vfio.enable_unsafe_noiommu_mode=1' },
});

/** @type {Readonly<Record<string, string[]>>} */
export const ACCELERATORS = Object.freeze({
  // 5-level page tables are left out: shorter walks, and what most hosts have.
  tcg: ['-accel', 'tcg,thread=multi', '-cpu', 'max,la57=off'],
  kvm: ['-accel', 'kvm', '-cpu', 'host'],
});

/**
 * The kernel's parameters. Every kind of trouble ends in a panic, and a panic ends QEMU. An NMI from the monitor is how a
 * hang becomes a panic, which then prints what every task was doing (panic_print=0x41 before Linux 6.17). An emulated
 * processor may stand still for a while where the host is busy: the kernel's watchdogs wait longer than by default.
 */
const PARAMETERS = [
  'console=ttyS0 panic=-1 oops=panic unknown_nmi_panic panic_print=0x41 panic_sys_info=tasks,all_bt',
  'no_timer_check tsc=reliable',
  'watchdog_thresh=30 rcupdate.rcu_cpu_stall_timeout=60',
].join(' ');

/**
 * @typedef {object} Machine
 * @property {string} kernel
 * @property {string} cpus     a number, or QEMU's -smp
 * @property {string} memory   as QEMU's -m
 * @property {string} accel
 * @property {string} iommu
 * @property {string[]} devices names in DEVICES
 * @property {string[]} keep   folders that stay writable on the host
 * @property {boolean} terminal
 * @property {string[]} append kernel parameters
 * @property {string[]} extra  arguments of QEMU
 */

/**
 * @param {Machine} machine
 * @param {string} initramfs
 * @returns {string[]}
 */
export function qemuArguments(machine, initramfs) {
  const iommu = IOMMUS[machine.iommu];
  const accelerator = ACCELERATORS[machine.accel];
  if (iommu === undefined || accelerator === undefined)
    throw new Failure('no such IOMMU or accelerator', exitStatus.usage);
  const sockets = Object.entries(PORTS).flatMap(([name, fd]) => ['-chardev', `socket,id=${name},fd=${fd}`]);
  const port = (/** @type {string} */ name) => ['-device', `virtserialport,chardev=${name},name=lab.${name}`];
  return [
    ...accelerator,
    // The IOMMU's interrupt remapping needs the IOAPIC to be QEMU's.
    ...['-machine', machine.accel === 'kvm' ? 'q35,kernel-irqchip=split' : 'q35'],
    ...['-smp', machine.cpus, '-m', machine.memory],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-nic', 'none'],
    ...['-kernel', machine.kernel, '-initrd', initramfs],
    ...['-append', [PARAMETERS, iommu.parameters, ...machine.append].join(' ')],
    ...sockets,
    ...['-serial', 'chardev:log', '-mon', 'chardev=monitor,mode=readline'],
    // Before the devices it translates for.
    ...(iommu.device === undefined ? [] : ['-device', iommu.device]),
    ...machine.devices.flatMap((name) => (DEVICES[name] === undefined ? [] : ['-device', DEVICES[name].model])),
    ...share('/', ROOT_TAG, ',readonly=on'),
    ...machine.keep.flatMap((folder, index) => share(folder, keepTag(index), '')),
    ...['-device', 'virtio-serial-pci,max_ports=8'],
    ...(machine.terminal ? ['-device', 'virtconsole,chardev=out'] : port('out')),
    ...['control', 'err', 'in'].flatMap(port),
    ...machine.extra,
  ];
}

/**
 * @param {string} folder
 * @param {string} tag
 * @param {string} more
 */
function share(folder, tag, more) {
  // A comma in a value is written twice. Inode numbers of several file systems must not collide: multidevs.
  const path = folder.replaceAll(',', ',,');
  return ['-virtfs', `local,path=${path},mount_tag=${tag},security_model=none,multidevs=remap${more}`];
}

/**
 * The PCI ids of devices, for binding them.
 * @param {readonly string[]} names in DEVICES
 */
export function pciIds(names) {
  return names.flatMap((name) => DEVICES[name]?.id ?? []);
}
