import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { builtUrl } from '../host/support/built.ts';

interface Warning {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly detail: string;
}

interface Report {
  readonly warnings: readonly Warning[];
  readonly openFds: number;
}

/** Runs `body` with `openHost` and `collect` in a process whose collector can be called, and answers what it reported. */
function run(body: string): Report {
  const script = `
    import { setImmediate } from 'node:timers/promises';
    const { openHost } = await import(${JSON.stringify(builtUrl('index.js'))});
    const warnings = [];
    process.on('warning', ({ name, code, message, detail }) => warnings.push({ name, code, message, detail }));
    const collect = async () => {
      for (let i = 0; i < 20; i++) { gc(); await setImmediate(); }
    };
    const report = (openFds) => console.log(JSON.stringify({ warnings, openFds }));
    ${body}
  `;
  const args = ['--expose-gc', '--no-warnings', '--input-type=module', '--eval', script];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Report;
}

describe('an owner that was garbage-collected', () => {
  test('is reported, with what it was and where it was made, and is not closed', () => {
    const { warnings, openFds } = run(`
      const host = await openHost({ backend: 'mock', kernel: 'rfc-v2' });
      async function makeAndForget() {
        const vm = await host.createVm();
        const gmem = await vm.createGuestMemfd({ size: 4096, mmap: true });
        const map = await gmem.map();
        await gmem.dup();
        await vm.setMemoryRegion({ slot: 0, guestPhysAddr: 0, size: 4096, gmem, userspaceAddr: map });
      }
      await makeAndForget();
      await collect();
      report(host.mock.openFds);
      await host.close();
    `);
    expect(openFds).toBe(4);
    expect(warnings.map(({ message }) => message.replace(/ was garbage.*/, '')).sort()).toEqual([
      'GuestMemfd (fd 5)',
      'GuestMemfd (fd 6)',
      expect.stringMatching(/^Mapping of fd 5 at 0x/),
      'Vm (fd 4)',
    ]);
    for (const { name, code, message, detail } of warnings) {
      expect({ name, code }).toEqual({ name: 'GuestMemfdLeak', code: 'GMEM_LEAK' });
      expect(message).toContain('without close(); it stays open until its host closes');
      expect(detail).toMatch(/^It was created here:\n +at .*makeAndForget/);
      expect(detail).not.toContain('/dist/');
    }
  });

  test('is closed by its host all the same', () => {
    const { openFds } = run(`
      const host = await openHost({ backend: 'mock' });
      const { mock } = host;
      await (async () => { await host.createVm(); })();
      await collect();
      await host.close();
      report(mock.openFds);
    `);
    expect(openFds).toBe(0);
  });

  test('is reported when it is the host', () => {
    const { warnings, openFds } = run(`
      let mock;
      await (async () => { ({ mock } = await openHost({ backend: 'mock' })); })();
      await collect();
      report(mock.openFds);
    `);
    expect(openFds).toBe(1);
    expect(warnings).toMatchObject([{ name: 'GuestMemfdLeak', message: expect.stringMatching(/^Host was/) }]);
  });

  test('is no leak when it was closed, or its host was, or it is still in use', () => {
    const { warnings } = run(`
      let kept;
      await (async () => {
        const host = await openHost({ backend: 'mock', kernel: 'rfc-v2' });
        const vm = await host.createVm();
        await (await host.createVm()).close();
        const gmem = await vm.createGuestMemfd({ size: 4096, mmap: true });
        await gmem.map();
        await host.close();
        const other = await openHost({ backend: 'mock' });
        kept = { other, vm: await other.createVm() };
      })();
      await collect();
      report(kept.vm.fd);
    `);
    expect(warnings).toEqual([]);
  });
});
