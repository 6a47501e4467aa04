/** A race on the one thread there is: all programs step by step, in an order that a seed decides. */

import { errno } from '../abi/errno.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import { checkRace } from '../syscalls/check-race.ts';
import type { Mappings } from '../syscalls/mappings.ts';
import {
  copiedBy,
  fdsOf,
  type IoctlStep,
  type LostByte,
  PARTLY,
  type RaceProgram,
  type RaceResult,
  type RaceStep,
  type RaceTally,
} from '../syscalls/race.ts';
import { Random } from '../syscalls/random.ts';
import type { Calls, Syscalls } from '../syscalls/seam.ts';

/** Turns of the microtask queue between two steps, at most: whoever else awaits the mock gets on as far as chance has it. */
const MOST_TURNS = 8;

export function raceCall(calls: Calls, mappings: Mappings): Syscalls['race'] {
  return async (programs, limits) => {
    checkRace(programs, limits, mappings);
    const letGo = mappings.hold(copiedBy(programs));
    const fds = new Map<number, number>();
    try {
      for (const fd of fdsOf(programs)) {
        const copy = calls.dup(fd);
        if (copy < 0) return copy;
        fds.set(fd, copy);
      }
      const racers = programs.map((program) => new Racer(calls, program, fds));
      await interleave(racers, limits.steps, new Random(limits.seed));
      return racers.map((racer) => racer.end());
    } finally {
      letGo();
      for (const copy of fds.values()) calls.close(copy);
    }
  };
}

async function interleave(racers: readonly Racer[], steps: number, random: Random): Promise<void> {
  const running = racers.filter((racer) => racer.made < steps);
  while (running.length > 0) {
    const at = random.below(running.length);
    const racer = running[at] as Racer;
    racer.step();
    if (racer.lost) return;
    if (racer.made >= steps) running.splice(at, 1);
    for (let turns = random.below(MOST_TURNS); turns > 0; turns--) await undefined;
  }
}

/** How a step ended; undefined where it was left out. */
type Outcome = { readonly result: number; readonly word?: bigint } | undefined;

class Racer {
  made = 0;
  lost: LostByte | undefined;
  readonly #calls: Calls;
  readonly #program: RaceProgram;
  readonly #fds: ReadonlyMap<number, number>;
  readonly #tallies = new Map<string, { step: number; outcome: number; word?: bigint; count: number }>();
  readonly #memory = new Map<bigint, Uint8Array>();
  #held = -1;

  constructor(calls: Calls, program: RaceProgram, fds: ReadonlyMap<number, number>) {
    this.#calls = calls;
    this.#program = program;
    this.#fds = fds;
  }

  step(): void {
    const index = this.made % this.#program.length;
    this.made++;
    const outcome = this.#make(index, this.#program[index] as RaceStep);
    if (outcome) this.#count(index, outcome);
  }

  end(): RaceResult {
    this.#drop();
    const memory = [...this.#memory].map(([address, bytes]) => ({ address, bytes }));
    const tallies: RaceTally[] = [...this.#tallies.values()];
    return { steps: this.made, tallies, memory, ...(this.lost && { lost: this.lost }) };
  }

  #make(index: number, step: RaceStep): Outcome {
    switch (step.call) {
      case 'ioctl':
      case 'ioctlFd':
        return this.#ioctl(step);
      case 'close':
        return this.#held < 0 ? undefined : { result: this.#drop() };
      case 'fallocate':
        return { result: this.#calls.fallocate(this.#fd(step.fd), step.mode, step.offset, step.length) };
      case 'mmap':
        return { result: this.#map(step) };
      case 'copyIn':
        return { result: this.#copyIn(step.address, step.bytes) };
      case 'copyOut':
        return { result: this.#copyOut(index, step) };
    }
  }

  #fd(given: number): number {
    return this.#fds.get(given) as number;
  }

  #ioctl(step: IoctlStep & { readonly call: 'ioctl' | 'ioctlFd' }): Outcome {
    const struct = step.struct.slice();
    const view = new DataView(struct.buffer);
    if (step.fdAt !== undefined) {
      if (this.#held < 0) return undefined;
      view.setInt32(step.fdAt, this.#held, true);
    }
    const result = this.#calls[step.call](this.#fd(step.fd), step.request, struct);
    if (step.call === 'ioctlFd' && result >= 0) {
      this.#drop();
      this.#held = result;
    }
    if (result >= 0) return { result: 0 };
    return step.wordAt === undefined ? { result } : { result, word: view.getBigUint64(step.wordAt, true) };
  }

  #map({ length, prot, flags, fd, offset }: Extract<RaceStep, { call: 'mmap' }>): number {
    const address = this.#calls.mmap(length, prot, flags, this.#fd(fd), offset);
    if (address < 0n) return Number(address);
    let refused = 0;
    for (let at = 0; at < length; at += PAGE_SIZE) {
      if (this.#calls.copyOut(address + BigInt(at), new Uint8Array(1)) === -errno.EFAULT) refused++;
    }
    this.#calls.munmap(address, length);
    return refused > 0 ? PARTLY : 0;
  }

  #copyIn(address: bigint, bytes: Uint8Array): number {
    const copied = this.#calls.copyIn(address, bytes);
    if (copied > 0) this.#learn(address, bytes.subarray(0, copied));
    return copied < 0 ? copied : copied < bytes.length ? PARTLY : 0;
  }

  #copyOut(index: number, { address, length, zeroWillDo }: Extract<RaceStep, { call: 'copyOut' }>): number {
    const bytes = new Uint8Array(length);
    const copied = this.#calls.copyOut(address, bytes);
    if (copied <= 0) return copied;
    const known = this.#memory.get(address) ?? new Uint8Array(0);
    const found = bytes.subarray(0, copied);
    const at = found.findIndex((byte, i) => i < known.length && byte !== known[i] && !(zeroWillDo && byte === 0));
    if (at < 0) this.#learn(address, found);
    else this.lost = { step: index, at, wanted: known[at] as number, found: found[at] as number };
    return copied < length ? PARTLY : 0;
  }

  /** These bytes are there now. */
  #learn(address: bigint, bytes: Uint8Array): void {
    const known = this.#memory.get(address) ?? new Uint8Array(0);
    const next = new Uint8Array(Math.max(known.length, bytes.length));
    next.set(known);
    next.set(bytes);
    this.#memory.set(address, next);
  }

  #count(step: number, { result: outcome, word }: { readonly result: number; readonly word?: bigint }): void {
    const key = `${step} ${outcome} ${word}`;
    const tally = this.#tallies.get(key) ?? { step, outcome, ...(word !== undefined && { word }), count: 0 };
    tally.count++;
    this.#tallies.set(key, tally);
  }

  #drop(): number {
    const fd = this.#held;
    this.#held = -1;
    return fd < 0 ? 0 : this.#calls.close(fd);
  }
}
