/** A device that somebody uses: it is left alone. */

import type { PciDevice } from './inventory.ts';

/** What would have to be let go of first. Nothing was changed. */
export class DeviceInUseError extends Error {
  readonly code = 'ERR_DEVICE_IN_USE';
  /** Who is in the way. */
  readonly devices: readonly PciDevice[];

  constructor(message: string, devices: readonly PciDevice[]) {
    super(message);
    this.devices = devices;
  }
}

Object.defineProperty(DeviceInUseError.prototype, 'name', {
  value: 'DeviceInUseError',
  writable: true,
  configurable: true,
});

export const isDeviceInUseError = (error: unknown): error is DeviceInUseError => error instanceof DeviceInUseError;
