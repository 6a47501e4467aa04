/**
 * The ioctl table: every declaration of this folder under its export's name.
 * A name is never written twice, so a declaration is one statement and cannot disagree with itself.
 */

import * as guestMemfd from './guest-memfd.ts';
import type { FdKind, Ioctl } from './ioctl.ts';
import * as kvm from './kvm.ts';
import * as vcpu from './vcpu.ts';

export interface NamedIoctl {
  readonly name: string;
  readonly ioctl: Ioctl;
}

function isIoctl(value: unknown): value is Ioctl {
  return typeof value === 'object' && value !== null && 'request' in value && 'on' in value;
}

/** All ioctls, in order of declaration. */
export const ioctls: readonly NamedIoctl[] = Object.entries({ ...kvm, ...vcpu, ...guestMemfd }).flatMap(
  ([name, value]) => (isIoctl(value) ? [{ name, ioctl: value }] : []),
);

const byIoctl = new Map(ioctls.map((entry) => [entry.ioctl, entry.name]));

/** The ioctl of this request number on this kind of fd. The whole number counts: type and nr alone collide with vhost's. */
export function findIoctl(on: FdKind, request: number): NamedIoctl | undefined {
  return ioctls.find(({ ioctl }) => ioctl.request === request && ioctl.on.includes(on));
}

/** The kernel's name of an ioctl; a number is looked up on every kind of fd, and shown as 0x... where nobody knows it. */
export function requestName(ioctl: Ioctl | number): string {
  if (typeof ioctl === 'number') {
    const name = ioctls.find((entry) => entry.ioctl.request === ioctl)?.name;
    return name ?? `0x${(ioctl >>> 0).toString(16).padStart(8, '0')}`;
  }
  return byIoctl.get(ioctl) ?? requestName(ioctl.request);
}
