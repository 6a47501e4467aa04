/** The runner's promises to the author of a case, each tried on a case that is wrong in one way. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Host, openHost } from '../../lib/kvm/index.ts';
import { type Case, type CaseOptions, type CaseResult, defineCase, runCase, select } from '../../lib/selftest/index.ts';

const PAGE = 4096;
let host: Host;

beforeAll(async () => {
  host = await openHost({ backend: 'mock', kernel: 'rfc-v2' });
});
afterAll(() => host.close());

async function result(definition: Partial<Case>, options: CaseOptions = {}): Promise<CaseResult> {
  const [entry] = select([defineCase({ name: 'tried', about: 'a rule', run: async () => {}, ...definition })]);
  return runCase(host, entry!, options);
}
const ran = (run: Case['run'], options: CaseOptions = {}) => result({ run }, options);
const lines = ({ problems }: CaseResult) => problems.flatMap(({ what, lines }) => [what, ...lines]);

describe('outcomes', () => {
  it('passes with at least one check', async () => {
    const passed = await ran(async (t) => t.ok(true, 'so it is'));
    expect(passed).toMatchObject({ name: 'tried', about: 'a rule', outcome: 'pass', problems: [], checks: 1 });
  });

  it('fails a case that checks nothing', async () => {
    expect(await ran(async () => {})).toMatchObject({ outcome: 'fail', problems: [{ what: 'asserted nothing' }] });
  });

  it('does not start a case whose needs are not met', async () => {
    let started = false;
    const run = async () => {
      started = true;
    };
    const skipped = await result({ requires: { dialect: ['attributes2'] }, run });
    expect(skipped).toMatchObject({ outcome: 'skip', problems: [] });
    expect(skipped.reason).toContain('KVM_SET_MEMORY_ATTRIBUTES2');
    expect(started).toBe(false);
  });

  it('asks for the needs of a variant', async () => {
    const definition = defineCase<boolean>({
      name: 'v',
      about: '',
      variants: { plain: false, deep: true },
      requires: (deep) => (deep ? { vmType: 'tdx' } : {}),
      run: async (t) => t.ok(true, ''),
    });
    const results = await Promise.all(select([definition]).map((entry) => runCase(host, entry)));
    expect(results.map(({ variant, outcome }) => [variant, outcome])).toEqual([
      ['plain', 'pass'],
      ['deep', 'skip'],
    ]);
  });

  it('skips where the case finds out by itself', async () => {
    const skipped = await ran(async (t) => t.skip('no such page'));
    expect(skipped).toMatchObject({ outcome: 'skip', reason: 'no such page' });
  });

  it('does not let a skip hide a check that failed', async () => {
    const failed = await ran(async (t) => {
      await Promise.allSettled([(async () => t.ok(false, 'first'))()]);
      t.skip('never mind');
    });
    expect(failed).toMatchObject({ outcome: 'fail', problems: [{ what: 'first' }] });
  });

  it('fails a case that caught its own failed check', async () => {
    const failed = await ran(async (t) => {
      try {
        t.equal(1, 2, 'one is two');
      } catch {}
      t.ok(true, 'fine');
    });
    expect(failed.outcome).toBe('fail');
    expect(lines(failed)).toEqual(['one is two', 'wanted 2', 'got    1']);
  });
});

describe('checks that fail', () => {
  const refused = { ok: false, code: 'EAGAIN', errno: -11, errorOffset: 4096n } as const;

  it.each<[string, Case['run'], string[]]>([
    ['ok', async (t) => t.ok('', 'text'), ['text', "wanted something true, got ''"]],
    [
      'equal',
      async (t) => t.equal<unknown>(4096, 4096n, 'size'),
      ['size', 'wanted 4096n (0x1000)', 'got    4096 (0x1000)'],
    ],
    [
      'equal of bytes',
      async (t) => t.equal(Uint8Array.of(1, 2), Uint8Array.of(1, 3), 'data'),
      ['data', 'first difference at offset 1; 1 of 2 bytes differ', 'wanted 03', 'got    02'],
    ],
    ['notEqual', async (t) => t.notEqual(7, 7, 'inode'), ['inode', 'wanted anything but 7']],
    [
      'succeeds',
      async (t) => t.succeeds(refused, 'convert'),
      ['convert', 'wanted success', 'got    EAGAIN (resource temporarily unavailable)', 'error_offset 4096n (0x1000)'],
    ],
    [
      'fails, with another errno',
      async (t) => t.fails(refused, ['EINVAL', 'EFAULT'], 'convert'),
      [
        'convert',
        'wanted EINVAL (invalid argument) or EFAULT (bad address)',
        'got    EAGAIN (resource temporarily unavailable)',
        'error_offset 4096n (0x1000)',
      ],
    ],
    [
      'fails, with success',
      async (t) => t.fails({ ok: true, value: 3 }, 'EINVAL', 'convert'),
      ['convert', 'wanted EINVAL (invalid argument)', 'got    success: 3'],
    ],
    [
      'throws, with nothing thrown',
      (t) => t.throws(() => 5, 'ERR_OUT_OF_RANGE', 'bad size'),
      ['bad size', 'wanted an error ERR_OUT_OF_RANGE', 'got    no error: 5'],
    ],
    [
      'throws, with another error',
      (t) => t.throws(() => Promise.reject(new TypeError('x')), 'ERR_OUT_OF_RANGE', 'bad size'),
      ['bad size', 'wanted an error ERR_OUT_OF_RANGE', 'got    TypeError: TypeError: x'],
    ],
    ['fail', async (t) => t.fail('gave up', ['why']), ['gave up', 'why']],
  ])('%s', async (_, run, expected) => {
    const failed = await ran(run);
    expect(failed.outcome).toBe('fail');
    expect(lines(failed)).toEqual(expected);
  });
});

describe('checks that hold', () => {
  it('give back what they checked', async () => {
    const passed = await ran(async (t) => {
      expect(t.succeeds({ ok: true, value: 3 } as const, '')).toBe(3);
      expect(t.succeeds({ ok: true, ret: 1, out: 2 } as const, '')).toEqual({ ok: true, ret: 1, out: 2 });
      const refused = { ok: false, code: 'EINVAL', errno: -22 } as const;
      expect(t.fails(refused, ['EFAULT', 'EINVAL'], '')).toBe(refused);
      t.equal({ a: [1n] }, { a: [1n] }, '');
      t.notEqual(1, 2, '');
      await t.throws(() => Promise.reject(new RangeError('x')), 'RangeError', '');
    });
    expect(passed).toMatchObject({ outcome: 'pass', checks: 6 });
  });
});

it('an error that the case throws is shown with its call and its cause', async () => {
  const failed = await ran(async (t) => {
    t.ok(true, '');
    const vm = await t.vm();
    try {
      await vm.createGuestMemfd({ size: PAGE, rawFlags: 64 });
    } catch (cause) {
      throw new Error('no file', { cause });
    }
  });
  expect(failed.problems[0]?.what).toBe('the case threw Error');
  expect(failed.problems[0]?.lines[1]).toMatch(/^caused by KernelError: EINVAL.*KVM_CREATE_GUEST_MEMFD/);
  const direct = await ran(async (t) => {
    await (await t.vm()).createGuestMemfd({ size: PAGE, rawFlags: 64 });
  });
  expect(direct.problems[0]).toMatchObject({ what: 'the case threw KernelError [EINVAL]' });
});

describe('cleanup', () => {
  it('runs last first, whatever happens, and every step of it', async () => {
    const steps: string[] = [];
    const failed = await ran(async (t) => {
      t.defer(() => steps.push('first'));
      t.defer(() => {
        throw new RangeError('stuck');
      });
      t.defer(async () => {
        await Promise.resolve();
        steps.push('last');
      });
      t.fail('midway');
    });
    expect(steps).toEqual(['last', 'first']);
    expect(lines(failed)).toEqual(['midway', 'cleanup threw RangeError', 'stuck']);
  });

  it('closes what the case was given', async () => {
    const open = host.mock!.openFds;
    const passed = await result({
      requires: { pins: true, guest: true, fork: true },
      run: async (t) => {
        const vm = await t.vm('private');
        const gmem = await t.gmem(vm, { size: PAGE, mmap: true, initially: 'shared' });
        t.pin(gmem, 0, PAGE);
        t.fork();
        t.ok(host.mock!.openFds > open, 'files are open');
      },
    });
    expect(passed.problems).toEqual([]);
    expect(host.mock!.openFds).toBe(open);
  });

  it('forgets planned failures and the journal of the case before', async () => {
    const requires = { faults: true, journal: true } as const;
    const planned: Case['run'] = async (t) => {
      t.ok(true, '');
      t.mock.faults.failAllocation(1);
      t.mock.journal.record('hazard', 'x', 0, 1);
    };
    expect(await result({ requires, run: planned })).toMatchObject({ outcome: 'pass' });
    const after: Case['run'] = async (t) => {
      t.equal(t.mock.journal.entries.length, 0, 'entries');
      await t.gmem(await t.vm(), { size: PAGE });
    };
    expect((await result({ requires, run: after })).problems).toEqual([]);
  });

  it('finds a case out that uses the mock and does not say so', async () => {
    const failed = await result({ requires: { pins: true }, run: async (t) => t.equal(t.mock.openFds, 0, '') });
    expect(lines(failed).join()).toContain('does not require it');
  });

  it('reports what the case left open', async () => {
    let leaked: Awaited<ReturnType<Host['createVm']>> | undefined;
    const failed = await ran(async (t) => {
      t.ok(true, '');
      leaked = await host.createVm();
    });
    await leaked!.close();
    expect(failed.outcome).toBe('fail');
    expect(lines(failed)).toEqual(['the case left something behind', 'open files: 1 more than before the case']);
  });
});

describe('time', () => {
  it('gives up a case that does not end, tells it, and cleans up', async () => {
    let told = false;
    let cleaned = false;
    const late = await ran(
      async (t) => {
        t.defer(() => {
          cleaned = true;
        });
        t.signal.addEventListener('abort', () => {
          told = true;
        });
        await new Promise(() => {});
      },
      { timeout: 20 },
    );
    expect(late).toMatchObject({ outcome: 'timeout', reason: '0.02 s' });
    expect([told, cleaned]).toEqual([true, true]);
  });

  it('ends a case when the user wants it to, and cleans up', async () => {
    let cleaned = false;
    const stop = new AbortController();
    const interrupted = await ran(
      async (t) => {
        t.defer(() => {
          cleaned = true;
        });
        stop.abort();
        await new Promise(() => {});
      },
      { signal: stop.signal },
    );
    expect(interrupted).toMatchObject({ outcome: 'fail', problems: [{ what: 'interrupted' }] });
    expect(cleaned).toBe(true);
  });
});
