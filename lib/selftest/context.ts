/** What a case is given: the host, the checks, and things that are undone by themselves when the case ends. */

import type { HugePageSize } from '../abi/index.ts';
import { unwrap } from '../host/index.ts';
import {
  type CreateGuestMemfdOptions,
  type GuestMemfd,
  type Host,
  LAUNCHABLE,
  launch,
  type MapOptions,
  type Mapping,
  type Vm,
  type VmType,
} from '../kvm/index.ts';
import type { ForkedProcess, MockControls, Pin } from '../mock/index.ts';
import { Checks } from './checks.ts';
import { Cleanup } from './cleanup.ts';
import { hasProtectedState } from './facts.ts';
import { type Guest, playedGuest, runningGuest } from './guest.ts';
import { type Problem, SkipError } from './outcome.ts';
import { pinPages } from './pin.ts';
import type { Requires } from './requires.ts';
import { openStepLog, type StepLog, whyTooLittle } from './step-log.ts';
import { privateVmType } from './unmet.ts';

export class T extends Checks {
  readonly host: Host;
  /** Fires when the case is over, or given up: for loops that would go on. */
  readonly signal: AbortSignal;
  readonly cleanup = new Cleanup();
  readonly #requires: Requires;
  readonly #guests = new Map<Vm, Guest>();
  readonly #notes: string[] = [];
  readonly #reported: Problem[] = [];
  #steps: StepLog | undefined;

  constructor(host: Host, requires: Requires, signal: AbortSignal) {
    super();
    this.host = host;
    this.signal = signal;
    this.#requires = requires;
  }

  get features(): Host['features'] {
    return this.host.features;
  }

  /** What each page of a case is, where it is told with huge pages. */
  get hugePageSize(): HugePageSize | undefined {
    return this.#requires.hugePageSize;
  }

  /** Lines for the report, before the result. */
  note(text: string): void {
    this.#notes.push(text);
  }

  get notes(): readonly string[] {
    return this.#notes;
  }

  /** Ends the case as skipped. What is known beforehand belongs in `requires`. */
  skip(reason: string): never {
    throw new SkipError(reason);
  }

  /** To be done when the case ends, last first, however it ends. */
  defer(step: () => unknown): void {
    this.cleanup.defer(step);
  }

  /**
   * A VM of the type the case requires (or another), closed at the end. A confidential one is launched, with nothing in
   * it: its guest can run.
   */
  async vm(type: VmType | 'private' = this.#requires.vmType ?? 'default'): Promise<Vm> {
    const actual = type === 'private' ? privateVmType(this.host) : type;
    if (actual === undefined)
      throw new Error("the case makes a private VM and does not require one: vmType: 'private'");
    const vm = await this.unlaunchedVm(actual);
    if (!LAUNCHABLE.includes(actual)) return vm;
    await launch(vm);
    return vm;
  }

  /** As `vm`, as KVM_CREATE_VM left it. */
  async unlaunchedVm(type: VmType): Promise<Vm> {
    const vm = await this.host.createVm({ type });
    this.defer(() => vm.close());
    return vm;
  }

  /** A guest_memfd of the VM, closed at the end. */
  async gmem(vm: Vm, options: CreateGuestMemfdOptions): Promise<GuestMemfd> {
    const made = await vm.tryCreateGuestMemfd(options);
    // How many huge pages a real host has set aside is nothing a case can require.
    if (!made.ok && made.code === 'ENOMEM' && options.hugePageSize && !this.host.mock) this.skip(made.error.message);
    const gmem = unwrap(made);
    this.defer(() => gmem.close());
    return gmem;
  }

  /** A mapping of the guest_memfd, gone at the end. */
  async map(gmem: GuestMemfd, options: MapOptions = {}): Promise<Mapping> {
    const mapping = await gmem.map(options);
    this.defer(() => mapping.close());
    return mapping;
  }

  /** The VM's guest. Needs `requires.guest`. */
  guest(vm: Vm): Guest {
    const known = this.#guests.get(vm);
    if (known) return known;
    const { mock } = this.host;
    const sealed = mock && hasProtectedState(vm.type);
    const guest = sealed ? playedGuest(mock.guest(vm.fd)) : runningGuest(vm, (step) => this.defer(step));
    this.#guests.set(vm, guest);
    return guest;
  }

  /** Takes references to the pages of a range, as a DMA pin does; dropped at the end. Needs `requires.pins`. */
  pin(gmem: GuestMemfd, offset: number | bigint, size: number): Pin {
    const pin = pinPages(this.host, gmem, BigInt(offset), size);
    this.defer(() => pin.release());
    return pin;
  }

  /** A second process with the same mappings, gone at the end. Needs `requires.fork`. */
  fork(): ForkedProcess {
    const child = this.#controls.fork();
    this.defer(() => child.exit());
    return child;
  }

  /** The steps inside calls, from the first use of this on. Needs `requires.steps`. */
  get steps(): StepLog {
    if (!this.#requires.steps) throw new Error('the case looks at steps and does not require it: steps: true');
    this.#steps ??= openStepLog(this.host);
    const tooLittle = whyTooLittle(this.#steps, this.host);
    return tooLittle === undefined ? this.#steps : this.skip(tooLittle);
  }

  /** The mock's controls. Needs `requires.faults`, `journal` or `mock`: without, the case is meant for real kernels too. */
  get mock(): MockControls {
    const { faults, journal, mock } = this.#requires;
    if (!faults && !journal && !mock) throw new Error('the case uses t.mock and does not require it: mock: true');
    return this.#controls;
  }

  get #controls(): MockControls {
    const { mock } = this.host;
    if (!mock) throw new Error('not on the mock');
    return mock;
  }

  /** Puts a problem on record that is not a failed check. */
  report(problem: Problem): void {
    this.#reported.push(problem);
  }

  /** Everything that went wrong so far. */
  end(): Problem[] {
    return [...this.problems, ...this.#reported];
  }
}
