/** Which devices this host has open, by name: giving one back to its driver would wait for itself for ever. */

import type { Context, Handle } from '../host/index.ts';

class DevicesInUse {
  readonly #handles = new Map<string, Set<Handle>>();

  add(name: string, handle: Handle): void {
    const open = this.openOnes(name);
    open.add(handle);
    this.#handles.set(name, open);
  }

  /** Those that are not closed yet. */
  openOnes(name: string): Set<Handle> {
    return new Set([...(this.#handles.get(name) ?? [])].filter((handle) => !handle.isClosed));
  }
}

const byContext = new WeakMap<Context, DevicesInUse>();

export function devicesInUse(context: Context): DevicesInUse {
  const found = byContext.get(context) ?? new DevicesInUse();
  byContext.set(context, found);
  return found;
}
