/** A system call as data, and how it is packed for the addon (`struct Record` in native/op.h). */

import type { Pointer } from './seam.ts';

/** Where calls wait for each other: an fd, mapped memory, or nowhere. */
export type LaneKey = number;
export const MEMORY_LANE = -1;
export const NO_LANE = -2;

/** In place of a code: an ioctl that may block, which takes no record but goes to a thread of the fd's own. */
export const BLOCKING = -1;

/** An ioctl's `flags`: the argument is the address in `offset`. */
export const ARGUMENT_IS_ADDRESS = 1;

export type Memory = Uint8Array | BigUint64Array;

/** All fields are set for every call, so that the engine sees one shape. */
export class Op {
  /** Index into the addon's `calls`, or BLOCKING. */
  readonly call: number;
  readonly lane: LaneKey;
  fd: number;
  /** ioctl: the request; mmap: prot; eventfd: the initial value. */
  request = 0;
  /** open, memfdCreate, eventfd, mmap: flags; fallocate: mode; madvise: advice. */
  flags = 0;
  /** ioctl: a plain argument; mmap, munmap, madvise: the length. */
  number = 0;
  /** A file offset; munmap, madvise, copyIn, copyOut: the address. */
  offset = 0n;
  /** ftruncate, fallocate. */
  length = 0n;
  buffer: Memory | undefined = undefined;
  pointers: readonly Pointer[] = [];
  /** The address of an ioctl's struct (or flag) that lives in mapped memory, which must stay mapped. */
  structAt: bigint | undefined = undefined;
  /** A blocking ioctl: somebody interrupted it before it left. */
  interrupted = false;
  /** Runs when the call is certain to be made; may throw to prevent it. */
  begin: (() => void) | undefined = undefined;
  /** Makes the caller's answer of the kernel's; without it they are the same. */
  finish: ((result: number, completed: number) => unknown) | undefined = undefined;
  resolve: (answer: unknown) => void = noop;
  reject: (reason: unknown) => void = noop;

  constructor(call: number, lane: LaneKey, fd: number) {
    this.call = call;
    this.lane = lane;
    this.fd = fd;
  }
}

function noop(): void {}

/** Float64 words in one record. */
const WORDS = 6;

/** How many records an op takes: its own, and one for each pointer. */
const recordsOf = (op: Op): number => 1 + op.pointers.length;

/** Ops as the addon takes them, and its answers. */
export class Packed {
  readonly count: number;
  readonly records: Float64Array;
  readonly buffers: Memory[] = [];
  readonly #i32: Int32Array;
  readonly #u32: Uint32Array;
  readonly #i64: BigInt64Array;
  readonly #pointerCall: number;

  constructor(ops: readonly Op[], pointerCall: number) {
    let count = 0;
    for (const op of ops) count += recordsOf(op);
    this.count = count;
    this.records = new Float64Array(this.count * WORDS);
    this.#i32 = new Int32Array(this.records.buffer);
    this.#u32 = new Uint32Array(this.records.buffer);
    this.#i64 = new BigInt64Array(this.records.buffer);
    this.#pointerCall = pointerCall;
    this.#writeAll(ops);
  }

  /** The same for other ops that take as many records; `buffers` is empty by then. */
  reuse(ops: readonly Op[]): void {
    this.#writeAll(ops);
  }

  /** The op's answer; undefined when the addon refused it because its memory is no longer there. */
  answer(op: Op, record: number): unknown {
    const at = record * WORDS;
    const result = this.records[at] as number;
    if (Number.isNaN(result)) return undefined;
    return op.finish === undefined ? result : op.finish(result, this.records[at + 1] as number);
  }

  #writeAll(ops: readonly Op[]): void {
    let record = 0;
    for (const op of ops) {
      this.#write(record * WORDS, op);
      record++;
      for (const pointer of op.pointers) this.#writePointer(record++ * WORDS, pointer);
    }
  }

  #write(at: number, op: Op): void {
    this.#i32[2 * at] = op.call;
    this.#i32[2 * at + 1] = op.fd;
    this.#u32[2 * at + 2] = op.request;
    this.#u32[2 * at + 3] = op.flags;
    this.records[at + 2] = op.number;
    this.#i64[at + 3] = op.offset;
    this.#i64[at + 4] = op.length;
    this.#i32[2 * at + 10] = op.buffer === undefined ? -1 : this.buffers.push(op.buffer) - 1;
  }

  #writePointer(at: number, pointer: Pointer): void {
    this.#i32[2 * at] = this.#pointerCall;
    this.#i32[2 * at + 10] = this.buffers.push(pointer.to) - 1;
    this.#u32[2 * at + 11] = pointer.at;
  }
}

/** Resolves or rejects every op of a batch that has come back. */
export function settle(ops: readonly Op[], packed: Packed): void {
  let record = 0;
  for (const op of ops) {
    const answer = packed.answer(op, record);
    if (answer === undefined) op.reject(memoryGone());
    else op.resolve(answer);
    record += recordsOf(op);
  }
}

export function memoryGone(): RangeError & { code: 'ERR_BUFFER_OUT_OF_BOUNDS' } {
  return Object.assign(
    new RangeError('the memory of a call must stay as it is until the call is done; a buffer was detached or shrunk'),
    { code: 'ERR_BUFFER_OUT_OF_BOUNDS' as const },
  );
}
