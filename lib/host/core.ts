/** The host: a backend, what it can do, and everything that is open on it. `../kvm/` adds the objects it can make. */

import type { MockControls } from '../mock/index.ts';
import type { Syscalls } from '../syscalls/seam.ts';
import type { OpenedBackend } from './backend.ts';
import { Context } from './context.ts';
import type { OwnedFd } from './fd.ts';
import type { Features } from './features.ts';
import type { Handle } from './handle.ts';
import type { ForcedDialect } from './options.ts';
import { probe } from './probe.ts';
import { Raw } from './raw.ts';
import { Resource } from './resource.ts';

/** A host before it is composed: what openHost() hands to a Host's constructor. */
export interface Parts {
  readonly context: Context;
  readonly system: OwnedFd;
  readonly opened: OpenedBackend;
}

/** Probes an opened backend. What was opened is closed again when the probe fails. */
export async function probeBackend(opened: OpenedBackend, forced: ForcedDialect | undefined): Promise<Parts> {
  const { syscalls, system, release, mock } = opened;
  try {
    const features = await probe(syscalls, system, { release, forced, guest: guestOf(mock) });
    // The probe's own steps are not what a test looks for.
    mock?.journal.clear();
    const context = new Context(syscalls, Object.freeze(features));
    return { context, system: context.own('/dev/kvm', system), opened };
  } catch (error) {
    await syscalls.close(system);
    syscalls.dispose();
    throw error;
  }
}

const guestOf = (mock: MockControls | undefined): Features['guest'] =>
  mock
    ? { available: true, why: 'the mock plays the guest (host.mock.guest)' }
    : { available: false, why: 'not tried yet: await host.guestSupport()' };

export class HostCore extends Resource<Handle> {
  /** Which backend answers: the addon, ffi-rs, or the mock. */
  readonly backend: Syscalls['backend'];
  /** Why this one. */
  readonly reason: string;
  /** One line for reports: which binary, which library, which mocked kernel. */
  readonly description: string;
  /** What the probe found when the host was opened. */
  declare readonly features: Features;
  /** The ioctls themselves, for values the typed API would refuse. */
  readonly raw: Raw;
  /** The mock's controls: journal, faults, pins, a guest. Only with the mock. */
  declare readonly mock?: MockControls;
  readonly #system: OwnedFd;

  constructor({ context, system, opened }: Parts) {
    super(context, context.handle);
    this.backend = opened.syscalls.backend;
    this.reason = opened.reason;
    this.description = opened.syscalls.description;
    this.learn(context.features);
    this.raw = new Raw(context);
    this.#system = system;
    if (opened.mock) Object.defineProperty(this, 'mock', { value: opened.mock });
  }

  /** Takes what is known of the kernel by now. @internal */
  protected learn(features: Features): void {
    Object.defineProperty(this, 'features', { value: features, enumerable: true, configurable: true });
  }

  /** The fd of /dev/kvm. @throws ClosedError */
  get fd(): number {
    this.handle.checkOpen();
    return this.#system.number;
  }

  /** The same while the host is closing, for what began before. @internal */
  protected get systemFd(): number {
    return this.#system.number;
  }

  /**
   * Closes everything that is still open on this host, last opened first, after the calls in flight.
   * From the call on, everything made by it refuses to be used.
   */
  override close(): Promise<void> {
    return this.context.closeHost();
  }
}
