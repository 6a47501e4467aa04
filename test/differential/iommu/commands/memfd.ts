/** Taking pages from a memfd, whoever has them. */

import fc from 'fast-check';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../../../../lib/abi/linux.ts';
import { hex, oneIn, which } from '../../choices.ts';
import { command } from '../../command.ts';
import { seen } from '../../seen.ts';

const PAGE = 4096n;
const PUNCH = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;

const hole = command({
  name: 'memfd-hole',
  weight: 1,
  choices: fc.record({ which, page: fc.nat(15), pages: fc.integer({ min: 1, max: 4 }) }),
  expects: () => ['ok'],
  prepare(world, { which: nth, page, pages }) {
    const on = world.fd(nth, 'memfd');
    if (!on) return undefined;
    const [offset, length] = [BigInt(page) * PAGE, BigInt(pages) * PAGE];
    return {
      text: `fallocate(${on.name}, punch a hole, ${hex(offset)}, ${hex(length)})`,
      run: (side) => seen(side.syscalls.fallocateSync(side.fd(on), PUNCH, offset, length)),
    };
  },
});

const truncate = command({
  name: 'memfd-truncate',
  weight: 1,
  choices: fc.record({ which, pages: fc.nat(16), odd: oneIn(8) }),
  expects: () => ['ok'],
  prepare(world, { which: nth, pages, odd }) {
    const on = world.fd(nth, 'memfd');
    if (!on) return undefined;
    const size = BigInt(pages) * PAGE + (odd ? 100n : 0n);
    return {
      text: `ftruncate(${on.name}, ${hex(size)})`,
      run: (side) => seen(side.syscalls.ftruncateSync(side.fd(on), size)),
    };
  },
});

export const memfdCommands = [hole, truncate];
