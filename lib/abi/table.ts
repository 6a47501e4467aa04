/**
 * The ioctl table: every declaration of this folder under its export's name.
 * A name is never written twice, so a declaration is one statement and cannot disagree with itself.
 */

import * as encryptOp from './encrypt-op.ts';
import * as guestMemfd from './guest-memfd.ts';
import type { FdKind, Ioctl } from './ioctl.ts';
import * as iommufd from './iommufd.ts';
import * as iommufdTest from './iommufd-test.ts';
import * as kvm from './kvm.ts';
import * as kvmDevice from './kvm-device.ts';
import * as vcpu from './vcpu.ts';
import * as vfio from './vfio.ts';
import * as vfioDevice from './vfio-device.ts';

export interface NamedIoctl {
  readonly name: string;
  readonly ioctl: Ioctl;
}

function isIoctl(value: unknown): value is Ioctl {
  return typeof value === 'object' && value !== null && 'request' in value && 'on' in value;
}

const kvmFiles = { ...kvm, ...vcpu, ...kvmDevice, ...encryptOp, ...guestMemfd };
const files = { ...kvmFiles, ...iommufd, ...iommufdTest, ...vfio, ...vfioDevice };

const named = (values: object): NamedIoctl[] =>
  Object.entries(values).flatMap(([name, value]) => (isIoctl(value) ? [{ name, ioctl: value }] : []));

/** All ioctls, in order of declaration. */
export const ioctls: readonly NamedIoctl[] = named(files);

const prefixed = (prefix: string, values: object): NamedIoctl[] =>
  named(values).map(({ name, ioctl }) => ({ name: prefix + name, ioctl }));

/** The same requests with what one of their operations has in a union or behind the struct. */
export const variants: readonly NamedIoctl[] = [
  ...prefixed('IOMMU_TEST_OP_', iommufdTest.iommuTest),
  ...prefixed('VFIO_IOMMU_', vfio.vfioWithBitmap),
];

const byIoctl = new Map([...ioctls, ...variants].map((entry) => [entry.ioctl, entry.name]));

/**
 * The ioctl of this request number on this kind of fd. The whole number counts: type and nr alone collide with
 * vhost's. And so does the kind: VFIO's containers and devices share some of their numbers.
 */
export function findIoctl(on: FdKind, request: number): NamedIoctl | undefined {
  return ioctls.find(({ ioctl }) => ioctl.request === request && ioctl.on.includes(on));
}

/**
 * The kernel's name of an ioctl. A number has the name it has on this kind of fd, and where the kind is not known all
 * its names ("A or B"); one that nobody knows is shown as 0x...
 */
export function requestName(ioctl: Ioctl | number, on?: FdKind): string {
  if (typeof ioctl !== 'number') return byIoctl.get(ioctl) ?? requestName(ioctl.request, on);
  const found = ioctls.filter((entry) => entry.ioctl.request === ioctl && (!on || entry.ioctl.on.includes(on)));
  if (found.length > 0) return found.map(({ name }) => name).join(' or ');
  return `0x${(ioctl >>> 0).toString(16).padStart(8, '0')}`;
}
