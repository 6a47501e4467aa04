/** fallocate, ftruncate, and reading and writing through an fd. */

import fc from 'fast-check';
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
  PAGE_SIZE,
} from '../../../lib/abi/linux.ts';
import { hex, mostly, oneIn, pagesIn, range, rangeChoice, which } from '../choices.ts';
import { command } from '../command.ts';
import { seen } from '../seen.ts';
import type { World } from '../world.ts';

const PAGE = BigInt(PAGE_SIZE);
const signed = (value: bigint): bigint => BigInt.asIntN(64, value);

const ALLOCATE = FALLOC_FL_KEEP_SIZE;
const PUNCH = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
const ODD_MODES = [
  0,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_ZERO_RANGE,
  FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE,
  0x80,
  0x100,
  0xffff_ffff,
];

/** More than this is never allocated: a guest_memfd may be larger than the machine. */
const MOST_PAGES = 64n;

/** fallocate on a guest_memfd; now and then on something else. */
const fallocate = (name: string, weight: number, modes: readonly number[], expects: readonly string[]) =>
  command({
    name,
    weight,
    choices: fc.record({ which, mode: fc.constantFrom(...modes), range: rangeChoice, anyFile: oneIn(24) }),
    expects: () => expects,
    prepare(world: World, { which: nth, mode, range: choice, anyFile }) {
      const on = anyFile ? world.fd(nth, 'vm', 'gmem', 'vcpu') : world.fd(nth, 'gmem');
      if (!on) return undefined;
      const pages = on.of.kind === 'gmem' ? on.of.pages : 4;
      const chosen = range(choice, pages);
      const { offset } = chosen;
      const size = mode === ALLOCATE && pagesIn(chosen) > MOST_PAGES && chosen.size % PAGE === 0n ? PAGE : chosen.size;
      return {
        text: `fallocate(${on.name}, mode ${hex(mode)}, ${hex(signed(offset))}, ${hex(signed(size))})`,
        run: (side) => seen(side.syscalls.fallocateSync(side.fd(on), mode, signed(offset), signed(size))),
      };
    },
  });

export const contentCommands = [
  fallocate('punch-hole', 5, [PUNCH], ['ok', 'EINVAL', 'ENODEV', 'EFBIG']),
  fallocate('allocate', 3, [ALLOCATE], ['ok', 'EINVAL', 'ENODEV', 'EFBIG']),
  fallocate('fallocate-odd', 1, ODD_MODES, ['EOPNOTSUPP', 'EINVAL']),
  command({
    name: 'ftruncate',
    weight: 1,
    choices: fc.record({ which, size: mostly([0n, PAGE, 3n * PAGE], [-1n, 1n, (1n << 63n) - 1n]) }),
    expects: () => ['EINVAL'],
    prepare(world: World, { which: nth, size }) {
      const on = world.fd(nth, 'gmem', 'vm', 'vcpu');
      if (!on) return undefined;
      return {
        text: `ftruncate(${on.name}, ${hex(size)})`,
        run: (side) => seen(side.syscalls.ftruncateSync(side.fd(on), size)),
      };
    },
  }),
  command({
    name: 'pread-pwrite',
    weight: 1,
    choices: fc.record({
      which,
      write: fc.boolean(),
      offset: mostly([0n, 1n, PAGE - 4n, PAGE], [-1n, (1n << 63n) - 1n], 6),
      length: fc.nat(64),
    }),
    expects: () => ['EINVAL', 'ESPIPE'],
    prepare(world: World, { which: nth, write, offset, length }) {
      const on = world.fd(nth);
      if (!on) return undefined;
      // A memfd grows where it is written, so only near its start.
      if (on.of.kind === 'memfd' && (offset < 0n || offset > PAGE || !write)) return undefined;
      const name = write ? 'pwrite' : 'pread';
      return {
        text: `${name}(${on.name}, ${length} bytes, ${hex(offset)})`,
        run: ({ syscalls, fds }) => {
          const bytes = new Uint8Array(length).fill(0xc3);
          return { ret: syscalls[`${name}Sync`](fds.get(on)!, bytes, offset), bytes };
        },
      };
    },
  }),
];
