/** What must hold of a race before it may start: of every step what its call would ask for, and that it comes back. */

import { checkBytes, checkInteger, checkOneOf, checkOptions, outOfRange, wrongType } from '../abi/invalid.ts';
import { requestSize } from '../abi/ioctl.ts';
import { isSizePrefixed } from '../abi/size-prefixed.ts';
import { checkFd, checkFlags, checkIoctlArg, checkMapFlags, checkOffset, checkRequest } from './arguments.ts';
import type { Mappings } from './mappings.ts';
import type { IoctlStep, RaceLimits, RaceProgram, RaceStep } from './race.ts';

const CALLS = ['ioctl', 'ioctlFd', 'close', 'fallocate', 'mmap', 'copyIn', 'copyOut'] as const;
const MOST_PROGRAMS = 256;
const MOST_STEPS = 65_536;
const MOST_BYTES = 0x100_0000;
const A_DAY = 86_400_000;

type Check<Call extends RaceStep['call']> = (step: Extract<RaceStep, { call: Call }>, mappings: Mappings) => void;

function checkIoctlStep(step: IoctlStep & { readonly call: 'ioctl' | 'ioctlFd' }): void {
  const { fd, request, struct, wordAt, fdAt } = checkOptions('step', step, [
    'call',
    'fd',
    'request',
    'struct',
    'wordAt',
    'fdAt',
  ]);
  checkFd(fd);
  if (requestSize(checkRequest(request)) === 0 && !isSizePrefixed(request)) {
    throw outOfRange('step.request', 'one with a struct', request);
  }
  checkIoctlArg(request, checkBytes('step.struct', struct));
  if (wordAt !== undefined) checkInteger('step.wordAt', wordAt, 0, struct.byteLength - 8);
  if (fdAt !== undefined) checkInteger('step.fdAt', fdAt, 0, struct.byteLength - 4);
}

const CHECKS: { readonly [Call in RaceStep['call']]: Check<Call> } = {
  ioctl: checkIoctlStep,
  ioctlFd: checkIoctlStep,
  close: (step) => {
    checkOptions('step', step, ['call']);
  },
  fallocate: (step) => {
    const { fd, mode, offset, length } = checkOptions('step', step, ['call', 'fd', 'mode', 'offset', 'length']);
    checkFd(fd);
    checkFlags('step.mode', mode);
    checkOffset('step.offset', offset);
    checkOffset('step.length', length);
  },
  mmap: (step) => {
    const known = ['call', 'length', 'prot', 'flags', 'fd', 'offset'] as const;
    const { length, prot, flags, fd, offset } = checkOptions('step', step, known);
    checkInteger('step.length', length, 0, MOST_BYTES);
    checkFlags('step.prot', prot);
    checkMapFlags(flags);
    checkFd(fd);
    checkOffset('step.offset', offset);
  },
  copyIn: (step, mappings) => {
    const { address, bytes } = checkOptions('step', step, ['call', 'address', 'bytes']);
    const length = checkBytes('step.bytes', bytes).byteLength;
    mappings.checkInside(address, checkInteger('step.bytes.byteLength', length, 1, MOST_BYTES));
  },
  copyOut: (step, mappings) => {
    const { address, length } = checkOptions('step', step, ['call', 'address', 'length', 'zeroWillDo']);
    mappings.checkInside(address, checkInteger('step.length', length, 1, MOST_BYTES));
  },
};

/** Throws unless every step may be made: a TypeError or RangeError, as its call would throw by itself. */
export function checkRace(programs: readonly RaceProgram[], limits: RaceLimits, mappings: Mappings): void {
  if (!Array.isArray(programs)) throw wrongType('programs', 'a list of programs', programs);
  checkInteger('programs.length', programs.length, 1, MOST_PROGRAMS);
  const { milliseconds, steps, seed } = checkOptions('limits', limits, ['milliseconds', 'steps', 'seed']);
  checkInteger('limits.milliseconds', milliseconds, 0, A_DAY);
  checkInteger('limits.steps', steps, 1, Number.MAX_SAFE_INTEGER);
  checkInteger('limits.seed', seed, 0, 0xffff_ffff);
  for (const program of programs as readonly RaceProgram[]) {
    if (!Array.isArray(program)) throw wrongType('program', 'a list of steps', program);
    checkInteger('program.length', program.length, 1, MOST_STEPS);
    for (const step of program as RaceProgram) {
      const call = checkOneOf('step.call', (step as RaceStep | null)?.call, CALLS);
      (CHECKS[call] as (step: RaceStep, mappings: Mappings) => void)(step, mappings);
    }
  }
}
