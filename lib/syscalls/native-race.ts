/** Races by the addon. The threads have copies of the fds, so that closing one of the caller's takes nothing from them. */

import type { Addon } from './addon.ts';
import { checkRace } from './check-race.ts';
import type { Lanes } from './lanes.ts';
import type { Mappings } from './mappings.ts';
import { type Op, Packed } from './op.ts';
import type { Ops } from './ops.ts';
import { copiedBy, fdsOf, type RaceProgram, type RaceResult, type RaceStep, type RaceTally } from './race.ts';
import type { Syscalls } from './seam.ts';

interface Parts {
  readonly addon: Addon;
  readonly lanes: Lanes;
  readonly mappings: Mappings;
  readonly ops: Ops;
}

export function createRace({ addon, lanes, mappings, ops }: Parts): Syscalls['race'] {
  const pointerCall = addon.calls.indexOf('pointer');
  const close = (fds: Iterable<number>) => Promise.all([...fds].map((fd) => lanes.push(ops.close(fd))));
  const run = (programs: readonly RaceProgram[], fds: ReadonlyMap<number, number>, limits: Limits) =>
    new Promise<RaceResult[]>((resolve) => {
      const packed = programs.map((program) => pack(program, fds, ops, pointerCall));
      addon.race(packed, limits.milliseconds, limits.steps, (results) => resolve(results.map(decodeResult)));
    });
  return async (programs, limits) => {
    checkRace(programs, limits, mappings);
    const letGo = mappings.hold(copiedBy(programs));
    const fds = new Map<number, number>();
    try {
      for (const fd of fdsOf(programs)) {
        const copy = (await lanes.push(ops.dup(fd))) as number;
        if (copy < 0) return copy;
        fds.set(fd, copy);
      }
      return await run(programs, fds, limits);
    } finally {
      letGo();
      await close(fds.values());
    }
  };
}

type Limits = Parameters<Syscalls['race']>[1];
type PackedProgram = Parameters<Addon['race']>[0][number];

function pack(program: RaceProgram, fds: ReadonlyMap<number, number>, ops: Ops, pointerCall: number): PackedProgram {
  const { records, count, buffers } = new Packed(
    program.map((step) => opOf(step, fds, ops)),
    pointerCall,
  );
  return [records, count, buffers];
}

/** A racing ioctl has where its word is in `number`, and where its fd goes in `length`; -1 for nowhere. */
function opOf(step: RaceStep, fds: ReadonlyMap<number, number>, ops: Ops): Op {
  switch (step.call) {
    case 'ioctl':
    case 'ioctlFd': {
      const op = ops[step.call](fds.get(step.fd) as number, step.request, step.struct);
      return Object.assign(op, { number: step.wordAt ?? -1, length: BigInt(step.fdAt ?? -1) });
    }
    case 'close':
      return ops.close(-1);
    case 'fallocate':
      return ops.fallocate(fds.get(step.fd) as number, step.mode, step.offset, step.length);
    case 'mmap':
      return ops.mmap(step.length, step.prot, step.flags, fds.get(step.fd) as number, step.offset);
    case 'copyIn':
      return ops.copyIn(step.address, step.bytes);
    case 'copyOut':
      return Object.assign(ops.copyOut(step.address, new Uint8Array(step.length)), {
        flags: step.zeroWillDo ? ZERO_WILL_DO : 0,
      });
  }
}

const ZERO_WILL_DO = 1;

/** Numbers in one row of tallies. */
const ROW = 4;

function decodeResult([made, rows, lost, memory]: Parameters<Parameters<Addon['race']>[3]>[0][number]): RaceResult {
  const tallies: RaceTally[] = [];
  for (let at = 0; at < rows.length; at += ROW) {
    const [step, outcome, word, count] = rows.subarray(at, at + ROW) as unknown as [number, number, number, number];
    tallies.push({ step, outcome, count, ...(word >= 0 && { word: BigInt(word) }) });
  }
  const cells: { address: bigint; bytes: Uint8Array }[] = [];
  for (let at = 0; at < memory.length; at += 2) {
    cells.push({ address: memory[at] as bigint, bytes: memory[at + 1] as Uint8Array });
  }
  const [step, at, wanted, found] = lost as unknown as [number, number, number, number];
  return {
    steps: made[0] as number,
    tallies,
    memory: cells,
    ...(lost.length > 0 && { lost: { step, at, wanted, found } }),
  };
}
