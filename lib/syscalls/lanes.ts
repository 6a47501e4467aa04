/**
 * The order of asynchronous calls. Each fd has a lane, and so has mapped memory: what is issued on a lane in one tick
 * goes to the thread pool as one batch, and what is issued while that is away goes as the next. Lanes overtake each
 * other, calls on one lane never do. A blocking ioctl has its place in a lane like any call, but leaves alone.
 */

import type { Addon } from './addon.ts';
import { callsInFlight } from './in-flight.ts';
import { BLOCKING, type LaneKey, MEMORY_LANE, memoryGone, NO_LANE, type Op, Packed, settle } from './op.ts';

interface Lane {
  readonly key: LaneKey;
  waiting: Op[];
  /** How many of them are blocking ioctls. */
  blocking: number;
  /** The batch that is with the thread pool, or the blocking ioctl that is with its thread. */
  away: readonly Op[];
}

export class Lanes {
  readonly #addon: Addon;
  readonly #pointerCall: number;
  readonly #lanes = new Map<LaneKey, Lane>();
  /** Where a synchronous call is packed. */
  #single: Packed | undefined;

  constructor(addon: Addon) {
    this.#addon = addon;
    this.#pointerCall = addon.calls.indexOf('pointer');
  }

  /** Issues a call: it leaves with the others of this tick. */
  push(op: Op): Promise<unknown> {
    op.begin?.();
    const lane = this.#laneOf(op.lane);
    if (op.call === BLOCKING) lane.blocking++;
    if (lane.waiting.push(op) === 1 && lane.away.length === 0) queueMicrotask(() => this.#send(lane));
    return new Promise((resolve, reject) => {
      op.resolve = resolve;
      op.reject = reject;
    });
  }

  /** Makes a call now. */
  run(op: Op): unknown {
    op.begin?.();
    const packed = this.#packNow(op);
    this.#addon.run(packed.records, packed.count, packed.buffers);
    packed.buffers.length = 0;
    const answer = packed.answer(op, 0);
    if (answer === undefined) throw memoryGone();
    return answer;
  }

  /** Whether any lane has calls that are not done. */
  get busy(): boolean {
    return this.#lanes.size !== 0;
  }

  /** Throws ERR_CALLS_IN_FLIGHT when a synchronous call would overtake the calls on this lane. */
  assertIdle(key: LaneKey, syncName: string): void {
    const lane = this.#lanes.get(key);
    if (lane === undefined) return;
    const calls = lane.waiting.length + lane.away.length;
    throw callsInFlight(calls, key === MEMORY_LANE ? 'on mapped memory' : `on fd ${key}`, `calling ${syncName}`);
  }

  /** Throws ERR_CALLS_IN_FLIGHT when an ioctl in flight was given an address of this mapping. */
  assertUnused(start: bigint, length: number): void {
    const end = start + BigInt(length);
    let calls = 0;
    for (const lane of this.#lanes.values()) {
      for (const { structAt } of [...lane.away, ...lane.waiting]) {
        if (structAt !== undefined && structAt >= start && structAt < end) calls++;
      }
    }
    if (calls > 0) throw callsInFlight(calls, 'with a struct in this mapping', 'unmapping it');
  }

  /**
   * The kernel gave this number to a new file, so the file that had it is closed: what may still be on its way back
   * is no predecessor of the new one's calls.
   */
  forget(fd: number): void {
    this.#lanes.delete(fd);
  }

  /**
   * Interrupts the fd's first blocking ioctl that is not done.
   * @returns it when it has not left: its flag is for the caller to set.
   */
  interrupt(fd: number): Op | undefined {
    const lane = this.#lanes.get(fd);
    if (lane === undefined) return undefined;
    if (lane.away[0]?.call === BLOCKING) {
      this.#addon.interrupt(fd);
      return undefined;
    }
    const waiting = lane.waiting.find(({ call }) => call === BLOCKING);
    if (waiting !== undefined) waiting.interrupted = true;
    return waiting;
  }

  #laneOf(key: LaneKey): Lane {
    const found = this.#lanes.get(key);
    if (found !== undefined) return found;
    const lane: Lane = { key, waiting: [], blocking: 0, away: [] };
    if (key !== NO_LANE) this.#lanes.set(key, lane);
    return lane;
  }

  #packNow(op: Op): Packed {
    if (op.pointers.length > 0) return new Packed([op], this.#pointerCall);
    if (this.#single === undefined) this.#single = new Packed([op], this.#pointerCall);
    else this.#single.reuse([op]);
    return this.#single;
  }

  #send(lane: Lane): void {
    lane.away = takeLeaving(lane);
    const [first] = lane.away;
    try {
      if (first?.call === BLOCKING) this.#sendBlocking(lane, first);
      else this.#sendBatch(lane);
    } catch (error) {
      for (const op of lane.away) op.reject(error);
      this.#next(lane);
    }
  }

  #sendBatch(lane: Lane): void {
    const packed = new Packed(lane.away, this.#pointerCall);
    this.#addon.submit(packed.records, packed.count, packed.buffers, () => {
      settle(lane.away, packed);
      this.#next(lane);
    });
  }

  #sendBlocking(lane: Lane, op: Op): void {
    this.#addon.ioctlBlocking(op.fd, op.request, op.structAt as bigint, (result) => {
      op.resolve(result);
      this.#next(lane);
    });
    if (op.interrupted) this.#addon.interrupt(op.fd);
  }

  #next(lane: Lane): void {
    lane.away = [];
    if (lane.waiting.length > 0) this.#send(lane);
    else if (this.#lanes.get(lane.key) === lane) this.#lanes.delete(lane.key);
  }
}

/** Takes out what leaves next: a blocking ioctl, or all up to one. */
function takeLeaving(lane: Lane): readonly Op[] {
  const { waiting } = lane;
  if (lane.blocking === 0) {
    lane.waiting = [];
    return waiting;
  }
  const before = waiting.findIndex(({ call }) => call === BLOCKING);
  if (before === 0) lane.blocking--;
  return waiting.splice(0, Math.max(before, 1));
}
