/** The backend of choice: the C++ addon. */

import { type Addon, loadAddon } from './addon.ts';
import { afterDeath } from './after-death.ts';
import { checkFd, checkIoctlArg } from './arguments.ts';
import { createBlocking } from './blocking.ts';
import { type Checks, createChecks } from './checks.ts';
import { Lanes } from './lanes.ts';
import { Mappings } from './mappings.ts';
import { createRace } from './native-race.ts';
import type { Op } from './op.ts';
import { createOps, type Ops } from './ops.ts';
import { pathCalls } from './paths.ts';
import { CALL_NAMES, type CallName, type Syscalls } from './seam.ts';
import { withFastLookup } from './twins.ts';

/** @throws BackendUnavailableError when there is no addon for this platform, with what would help. */
export function createNative(): Syscalls {
  const { addon, path } = loadAddon();
  const lanes = new Lanes(addon);
  const mappings = new Mappings();
  const ops = createOps(addon, lanes, mappings);
  const checks = createChecks(mappings, (address, bytes) => lanes.run(ops.copyOut(address, bytes)) as number);

  const built: Record<string, unknown> = {
    backend: 'native',
    description: `addon ${path}`,
    dispose: () => addon.dispose(),
    ...createBlocking(lanes, mappings, (address, bytes) => lanes.run(ops.copyIn(address, bytes))),
    race: createRace({ addon, lanes, mappings, ops }),
    ...pathCalls,
    afterDeath,
  };
  for (const name of CALL_NAMES) {
    const prepare = prepared(name, checks, ops);
    built[name] = issue(lanes, prepare);
    built[`${name}Sync`] = callNow(lanes, `${name}Sync`, prepare);
  }
  built['ioctlSync'] = quickIoctl(addon, lanes, built['ioctlSync'] as Syscalls['ioctlSync']);
  return withFastLookup(built) as unknown as Syscalls;
}

type Prepare = (a: unknown, b: unknown, c: unknown, d: unknown, e: unknown) => Op;

/** Checks a call's arguments and makes an op of them. Five places, since no call has more: rest arguments would cost. */
function prepared(name: CallName, checks: Checks, ops: Ops): Prepare {
  const check = checks[name] as (...args: unknown[]) => void;
  const build = ops[name] as (...args: unknown[]) => Op;
  return (a, b, c, d, e) => {
    check(a, b, c, d, e);
    return build(a, b, c, d, e);
  };
}

const issue = (lanes: Lanes, prepare: Prepare) => (a: unknown, b: unknown, c: unknown, d: unknown, e: unknown) => {
  try {
    return lanes.push(prepare(a, b, c, d, e));
  } catch (error) {
    return Promise.reject(error);
  }
};

const callNow =
  (lanes: Lanes, name: string, prepare: Prepare) =>
  (a: unknown, b: unknown, c: unknown, d: unknown, e: unknown): unknown => {
    const op = prepare(a, b, c, d, e);
    if (lanes.busy) lanes.assertIdle(op.lane, name);
    return lanes.run(op);
  };

/**
 * ioctlSync for a plain argument and for a struct, whose cost is held to a fraction of the cheapest ioctl's.
 * The addon does the checking on the way; what it refuses, and what is rarer, goes the general way.
 */
function quickIoctl(addon: Addon, lanes: Lanes, general: Syscalls['ioctlSync']): Syscalls['ioctlSync'] {
  const frame = new Float64Array(new SharedArrayBuffer(4 * Float64Array.BYTES_PER_ELEMENT));
  const callFrame = addon.ioctlFrame(frame);
  return (fd, request, arg, pointers) => {
    if (lanes.busy) lanes.assertIdle(fd, 'ioctlSync');
    if (pointers === undefined && typeof arg === 'number' && typeof fd === 'number' && typeof request === 'number') {
      frame[0] = fd;
      frame[1] = request;
      frame[2] = arg;
      callFrame();
      const answer = frame[3] as number;
      if (!Number.isNaN(answer)) return answer;
    }
    if (pointers === undefined && arg instanceof Uint8Array) {
      checkFd(fd);
      checkIoctlArg(request, arg);
      return addon.ioctl(fd, request, arg);
    }
    return general(fd, request, arg, pointers);
  };
}
