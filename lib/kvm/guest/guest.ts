/**
 * A guest for tests: touches guest-physical memory on request, byte-exactly, and says what stopped it. A small fixed
 * program does it in the VM, so it is the VM's own page tables that answer, on a real kernel and on the mock alike.
 */

import {
  checkBytes,
  checkInteger,
  checkOneOf,
  checkOptions,
  checkU64,
  outOfRange,
  wrongType,
} from '../../abi/invalid.ts';
import { PAGE_SIZE } from '../../abi/linux.ts';
import type { PageState } from '../../guest-memfd/index.ts';
import { ClosedError, checkPages } from '../../host/index.ts';
import type { VcpuExit } from '../exits.ts';
import type { MemoryRegion } from '../memory-region.ts';
import type { GuestMemory } from './memory.ts';
import { LARGE_PAGE, LAST_ADDRESS } from './paging.ts';
import type { GuestWorker, Stopped } from './worker.ts';

export interface AccessOptions {
  /** Which vCPU does it; 0 by default. */
  readonly vcpu?: number;
  /** Brings a guest back that hangs on the access. */
  readonly signal?: AbortSignal;
}

/** `completed`: bytes moved before the exit. */
export interface GuestStopped {
  readonly ok: false;
  readonly exit: VcpuExit;
  readonly completed: number;
}

export type GuestRead = { readonly ok: true; readonly bytes: Uint8Array } | GuestStopped;
export type GuestWrite = { readonly ok: true } | GuestStopped;
/** `answer`: what the host's handler said, 0 for done. */
export type GuestAsked = { readonly ok: true; readonly answer: bigint } | GuestStopped;

/** What a guest is made of. */
export interface GuestParts {
  readonly memory: GuestMemory;
  readonly region: MemoryRegion;
  readonly workers: readonly GuestWorker[];
}

const MAX_READ = 1 << 30;

function checkRange(gpa: bigint, length: bigint): void {
  if (gpa + length - 1n > LAST_ADDRESS) {
    throw outOfRange('gpa and length', `within the 52 bits of a guest-physical address`, { gpa, length });
  }
}

/** Made by `vm.createGuest()`. Requests to one vCPU are carried out one after the other, those to several at once. */
export class Guest {
  /** How many vCPUs it has. */
  readonly vcpus: number;
  readonly #parts: GuestParts;
  readonly #tails: Promise<unknown>[];
  #closing: Promise<void> | undefined;

  constructor(parts: GuestParts) {
    this.vcpus = parts.workers.length;
    this.#parts = parts;
    this.#tails = parts.workers.map(() => Promise.resolve());
  }

  /** Whether close() was called, on it or on its host. */
  get closed(): boolean {
    return this.#closing !== undefined || this.#parts.memory.mapping.closed;
  }

  /** Reads `length` bytes at a guest-physical address. */
  async read(gpa: number | bigint, length: number, options: AccessOptions = {}): Promise<GuestRead> {
    const bytes = new Uint8Array(checkInteger('length', length, 0, MAX_READ));
    const { bufferSize } = this.#parts.memory;
    const stopped = await this.#inPieces(gpa, length, bufferSize, options, (worker, at, done, size, signal) =>
      worker.read(at, bytes.subarray(done, done + size), signal),
    );
    return stopped ?? { ok: true, bytes };
  }

  /** Writes bytes at a guest-physical address. */
  async write(gpa: number | bigint, bytes: Uint8Array, options: AccessOptions = {}): Promise<GuestWrite> {
    const { byteLength } = checkBytes('bytes', bytes);
    const { bufferSize } = this.#parts.memory;
    const stopped = await this.#inPieces(gpa, byteLength, bufferSize, options, (worker, at, done, size, signal) =>
      worker.write(at, bytes.subarray(done, done + size), signal),
    );
    return stopped ?? { ok: true };
  }

  /** Stores one byte over a range. */
  async fill(gpa: number | bigint, length: number, byte: number, options: AccessOptions = {}): Promise<GuestWrite> {
    checkInteger('length', length, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('byte', byte, 0, 0xff);
    const stopped = await this.#inPieces(gpa, length, LARGE_PAGE, options, (worker, at, _done, size, signal) =>
      worker.fill(at, size, byte, signal),
    );
    return stopped ?? { ok: true };
  }

  /**
   * KVM_HC_MAP_GPA_RANGE: asks the host for a conversion. Needs `vm.enableCap('KVM_CAP_EXIT_HYPERCALL', [1 << 12])`,
   * and the guest's `onHypercall` to answer; without a handler the exit is the result.
   */
  async mapGpaRange(
    gpa: number | bigint,
    size: number | bigint,
    to: PageState,
    options: AccessOptions = {},
  ): Promise<GuestAsked> {
    const start = checkPages('gpa', gpa, 0n, LAST_ADDRESS);
    const bytes = checkPages('size', size, BigInt(PAGE_SIZE), LAST_ADDRESS);
    checkRange(start, bytes);
    checkOneOf<PageState>('to', to, ['private', 'shared']);
    const { vcpu, signal } = this.#check(options);
    const answer = await this.#inTurn(vcpu, (worker) => worker.mapGpaRange(start, bytes, to, signal));
    return typeof answer === 'bigint' ? { ok: true, answer } : { ok: false, exit: answer.exit, completed: 0 };
  }

  /** Closes its vCPUs and takes its memory away; requests under way end with a ClosedError. Twice does nothing. */
  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    const { workers, region, memory } = this.#parts;
    try {
      await Promise.all(workers.map(({ vcpu }) => vcpu.close()));
      await region[Symbol.asyncDispose]();
    } finally {
      await memory.mapping.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #check(options: AccessOptions): { vcpu: number; signal: AbortSignal | undefined } {
    const { vcpu = 0, signal } = checkOptions<AccessOptions>('options', options, ['vcpu', 'signal']);
    checkInteger('options.vcpu', vcpu, 0, this.vcpus - 1);
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw wrongType('options.signal', 'an AbortSignal', signal);
    }
    if (this.closed) throw new ClosedError('Guest');
    return { vcpu, signal };
  }

  #inTurn<R>(vcpu: number, work: (worker: GuestWorker) => Promise<R>): Promise<R> {
    const turn = this.#tails[vcpu]!.then(() => work(this.#parts.workers[vcpu]!));
    this.#tails[vcpu] = turn.catch(() => {});
    return turn;
  }

  #inPieces(
    gpa: number | bigint,
    length: number,
    piece: number,
    options: AccessOptions,
    move: (
      worker: GuestWorker,
      at: bigint,
      done: number,
      size: number,
      signal: AbortSignal | undefined,
    ) => Promise<Stopped | undefined>,
  ): Promise<GuestStopped | undefined> {
    const start = checkU64('gpa', gpa);
    checkRange(start, BigInt(length));
    const { vcpu, signal } = this.#check(options);
    return this.#inTurn(vcpu, async (worker) => {
      for (let done = 0; done < length; ) {
        const size = Math.min(piece, length - done);
        const stopped = await move(worker, start + BigInt(done), done, size, signal);
        if (stopped) return { ok: false, exit: stopped.exit, completed: done + size - stopped.left };
        done += size;
      }
      return undefined;
    });
  }
}
