/** The differential test, on this machine's kernel and on itself: a mock that is wrong somewhere must be found out. */

import { describe, expect, test } from 'vitest';
import { KVM_GMEM_CONVERT_PRIVATE } from '../../lib/abi/guest-memfd.ts';
import { IOMMU_IOAS_COPY } from '../../lib/abi/iommufd.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../../lib/abi/linux.ts';
import type { Syscalls } from '../../lib/syscalls/seam.ts';
import { missingFor } from '../contract/missing.ts';
import { contentCommands } from './commands/contents.ts';
import { fileCommands } from './commands/files.ts';
import { mappingCommands } from './commands/mappings.ts';
import { slotCommands } from './commands/slots.ts';
import { type Explored, explore } from './explore.ts';
import { families } from './families.ts';
import { openKernels } from './kernels.ts';
import { twinMocks } from './mock-twins.ts';
import { Side } from './side.ts';

/** GMEM_SEED repeats a run, or makes another. */
const seed = Number(process.env['GMEM_SEED'] ?? 7215);
const missing = missingFor('native');

const messages = ({ differences }: Explored): string[] => differences.map(({ message }) => message);

describe.skipIf(missing !== undefined)(`this machine's kernel and its mock${missing ? `: ${missing}` : ''}`, () => {
  test(`give the same answers to 2,000 generated calls (seed ${seed})`, async () => {
    await using kernels = await openKernels('native');
    expect(messages(explore(kernels, { ...families.kvm, steps: 2_000, seed, differences: 1 }))).toEqual([]);
  });
});

/** A mock in which some calls are answered by `change`. */
function wrongly(change: (right: Syscalls) => Partial<Syscalls>): (side: Side) => Side {
  return ({ syscalls, kvm, cpuid, mock }) => new Side({ ...syscalls, ...change(syscalls) }, kvm, cpuid, mock);
}

const PUNCH = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;

describe('two mocks', () => {
  test.each([
    ['linux-7.3', 'vm-attributes'],
    ['rfc-v2', 'rfc-convert'],
    ['inplace-v13', 'attributes2'],
  ] as const)(`of %s agree, and every command gets somewhere (seed ${seed})`, (kernel, dialect) => {
    const explored = explore(twinMocks({ kernel }, dialect), { ...families.kvm, steps: 500, seed, differences: 1 });
    expect(messages(explored)).toEqual([]);
    const succeeded = explored.coverage.lines(families.kvm.commands).filter((line) => / ok \d/.test(line));
    expect(succeeded.length).toBeGreaterThan(20);
  });

  test.each(['iommufd', 'type1', 'cdev'] as const)(
    `agree about %s, and every command gets somewhere (seed ${seed})`,
    (name) => {
      const family = families[name];
      const explored = explore(twinMocks({ kernel: 'linux-7.3' }, 'vm-attributes'), {
        ...family,
        steps: 500,
        seed,
        differences: 1,
      });
      expect(messages(explored)).toEqual([]);
      const succeeded = explored.coverage.lines(family.commands).filter((line) => / ok \d/.test(line));
      expect(succeeded.length).toBeGreaterThan(25);
    },
  );

  test('of which one copies a page less from address space to address space: so a DMA finds nothing there', () => {
    const { request, struct } = IOMMU_IOAS_COPY;
    const stingy = wrongly(({ ioctlSync }) => ({
      ioctlSync: (fd, asked, arg, pointers) => {
        if (asked !== request || !(arg instanceof Uint8Array)) return ioctlSync(fd, asked, arg, pointers);
        const values = struct.decode(arg);
        if (values.length !== 0x2000n) return ioctlSync(fd, asked, arg, pointers);
        const less = struct.encode({ ...values, length: 0x1000n });
        const ret = ioctlSync(fd, asked, less, pointers);
        arg.set(struct.encode({ ...struct.decode(less), length: 0x2000n }));
        return ret;
      },
    }));
    const kernels = twinMocks({ kernel: 'linux-7.3' }, 'vm-attributes', stingy);
    const [found] = explore(kernels, { ...families.iommufd, steps: 20_000, seed, differences: 1 }).differences;
    const calls = found!.made.map(({ text }) => text);
    expect(calls.filter((text) => text.startsWith('IOMMU_IOAS_COPY'))).toHaveLength(1);
    expect(calls.length, found!.message).toBeLessThanOrEqual(8);
  });

  test('of which one forgets the second page of every hole: what was written there gives it away', () => {
    const forgetful = wrongly(({ fallocateSync }) => ({
      fallocateSync: (fd, mode, offset, length) =>
        fallocateSync(fd, mode, offset, mode === PUNCH && length === 0x2000n ? 0x1000n : length),
    }));
    const kernels = twinMocks({ kernel: 'rfc-v2' }, 'rfc-convert', forgetful);
    const few = [...fileCommands, ...contentCommands, ...mappingCommands, ...slotCommands];
    const [found] = explore(kernels, {
      ...families.kvm,
      commands: few,
      steps: 20_000,
      seed,
      differences: 1,
    }).differences;
    const calls = found!.made.map(({ text }) => text);
    expect(calls.filter((text) => text.startsWith('fallocate'))).toHaveLength(1);
    expect(calls.length, found!.message).toBeLessThanOrEqual(8);
  });

  test('of which one converts where it should refuse: the shortest list of calls is the refusal', () => {
    const permissive = wrongly(({ ioctlSync }) => ({
      ioctlSync: (fd, request, arg, pointers) => {
        const ret = ioctlSync(fd, request, arg, pointers);
        return request === KVM_GMEM_CONVERT_PRIVATE.request && ret === -11 ? 0 : ret;
      },
    }));
    const kernels = twinMocks({ kernel: 'rfc-v2' }, 'rfc-convert', permissive);
    const [found] = explore(kernels, { ...families.kvm, steps: 20_000, seed, differences: 1 }).differences;
    const calls = found!.made.map(({ text }) => text.replace(/[^a-zA-Z_ ].*/, ''));
    expect(found!.made.at(-1)!.text).toContain('KVM_GMEM_CONVERT_PRIVATE');
    expect(calls.length, found!.message).toBeLessThanOrEqual(7);
  });
});
