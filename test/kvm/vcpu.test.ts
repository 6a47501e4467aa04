import { describe, expect, test } from 'vitest';
import { KVM_RUN } from '../../lib/abi/vcpu.ts';
import { openHost, type VcpuExit } from '../../lib/kvm/index.ts';
import { openWatched, realKernels, titleOf } from '../host/support/hosts.ts';
import { code, exitOf, PAGE, profiles, program, restart } from './support.ts';

const KVM_HC_MAP_GPA_RANGE = 12n;
const interrupted = { reason: 'interrupted' };

for (const kernel of profiles) {
  describe(`a vCPU on the mock of ${kernel}`, () => {
    test('begins as reset leaves it, and keeps what it is given', async () => {
      await using watched = await openWatched({ kernel });
      const vcpu = await (await watched.host.createVm()).createVcpu({ id: 3 });
      expect(vcpu.id).toBe(3);
      expect(await vcpu.regs()).toMatchObject({ rip: 0xfff0n, rflags: 2n });
      const sregs = await vcpu.sregs();
      expect(sregs.cs).toMatchObject({ base: 0xffff_0000n, selector: 0xf000 });
      await vcpu.setRegs({ rax: 2n ** 64n - 1n, r15: 7, rflags: 2n });
      expect(await vcpu.regs()).toMatchObject({ rax: 2n ** 64n - 1n, r15: 7n, rip: 0n });
      await vcpu.setSregs({ ...sregs, cr3: 0x5000n, gdt: { base: 0x1000n, limit: 23 } });
      const { cr3, gdt, cs } = await vcpu.sregs();
      expect({ cr3, gdt, cs }).toMatchObject({ cr3: 0x5000n, gdt: { base: 0x1000n, limit: 23 }, cs: sregs.cs });
      expect(await vcpu.mpState()).toBe(0);
      await vcpu.setMpState(0);
      await expect(vcpu.setMpState(3)).rejects.toMatchObject({ code: 'EINVAL', request: 'KVM_SET_MP_STATE' });
    });

    test('runs to its exits, one after the other', async () => {
      await using all = await program([...code.nop, ...code.out, ...code.hlt], { kernel });
      const { vcpu } = all;
      await restart(vcpu, { rax: 0x15an });
      const exit = await vcpu.run();
      expect(exit).toMatchObject({ reason: 'io', write: true, size: 1, port: 0x10, count: 1 });
      if (exit.reason === 'io') expect(await vcpu.ioData(exit)).toEqual(Uint8Array.of(0x5a));
      expect((await vcpu.regs()).rip).toBe(1n);
      await vcpu.completeExit();
      expect((await vcpu.regs()).rip).toBe(3n);
      expect(await vcpu.run()).toEqual({ reason: 'hlt' });
      expect((await vcpu.regs()).rip).toBe(4n);
    });

    test('reaches memory that the host sees, and MMIO where there is none', async () => {
      await using all = await program([...code.fill, ...code.hlt], { kernel });
      const { vcpu, memory } = all;
      await restart(vcpu, { rax: 0x77n, rdi: BigInt(2 * PAGE - 2), rcx: 3n });
      const gpa = BigInt(2 * PAGE);
      expect(await vcpu.run()).toEqual({ reason: 'mmio', gpa, write: true, data: Uint8Array.of(0x77) });
      expect(await memory.read(2 * PAGE - 3, 3)).toEqual(Uint8Array.of(0, 0x77, 0x77));
      expect(await vcpu.run()).toEqual({ reason: 'hlt' });
    });

    test('waits for the answer to an MMIO read', async () => {
      await using all = await program([...code.copy, ...code.hlt], { kernel });
      const { vcpu, memory } = all;
      const gpa = 0x10_0000n;
      await restart(vcpu, { rsi: gpa, rdi: BigInt(PAGE), rcx: 1n });
      const exit = await exitOf(vcpu, 'mmio');
      expect(exit).toEqual({ reason: 'mmio', gpa, write: false, data: Uint8Array.of(0) });
      expect((await vcpu.regs()).rcx).toBe(1n);
      await vcpu.respond(exit, Uint8Array.of(0xc3));
      expect(await vcpu.run()).toEqual({ reason: 'hlt' });
      expect(await memory.read(PAGE, 1)).toEqual(Uint8Array.of(0xc3));
      // From MMIO to MMIO: the read, and then the write of what was read.
      await restart(vcpu, { rsi: gpa, rdi: 2n * gpa, rcx: 1n });
      expect(await vcpu.run()).toMatchObject({ reason: 'mmio', gpa, write: false });
      expect(await vcpu.run()).toMatchObject({ reason: 'mmio', gpa: 2n * gpa, write: true });
      expect(await vcpu.run()).toEqual({ reason: 'hlt' });
    });

    test('waits for the answer to a port read', async () => {
      await using all = await program([...code.in, ...code.hlt], { kernel });
      const { vcpu } = all;
      await restart(vcpu, { rax: 0x1122n });
      const exit = await exitOf(vcpu, 'io');
      expect(exit).toMatchObject({ write: false, size: 1, port: 0x10, count: 1 });
      await vcpu.respond(exit, Uint8Array.of(0x5a));
      expect(await vcpu.run()).toEqual({ reason: 'hlt' });
      expect((await vcpu.regs()).rax).toBe(0x115an);
    });

    test('takes an answer to its last exit only, and only where it waits for one', async () => {
      await using all = await program([...code.out, ...code.in, ...code.hlt], { kernel });
      const { vcpu } = all;
      const wrongExit = { code: 'ERR_INVALID_ARG_VALUE' };
      const out = await exitOf(vcpu, 'io');
      await expect(vcpu.respond(out, Uint8Array.of(1))).rejects.toMatchObject(wrongExit);
      const read = await exitOf(vcpu, 'io');
      await expect(vcpu.respond({ ...read }, Uint8Array.of(1))).rejects.toMatchObject(wrongExit);
      await expect(vcpu.respond(read, new Uint8Array(2))).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
      await expect(vcpu.respond(read as never, 1)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
      await vcpu.respond(read, Uint8Array.of(1));
      await vcpu.completeExit();
      await expect(vcpu.respond(read, Uint8Array.of(1))).rejects.toMatchObject(wrongExit);
    });

    test('brings hypercalls out where they were asked for', async () => {
      await using all = await program([...code.vmcall, ...code.hlt], { kernel });
      const { vm, vcpu } = all;
      const call = { rax: KVM_HC_MAP_GPA_RANGE, rbx: 0x1000n, rcx: 2n, rdx: 16n };
      await restart(vcpu, call);
      expect(await vcpu.run()).toEqual({ reason: 'hlt' });
      expect((await vcpu.regs()).rax).toBe(BigInt.asUintN(64, -1000n));
      await vm.enableCap('KVM_CAP_EXIT_HYPERCALL', [1 << 12]);
      await restart(vcpu, call);
      const exit = await exitOf(vcpu, 'hypercall');
      expect(exit).toMatchObject({ nr: 12n, mapGpaRange: { gpa: 0x1000n, size: 0x2000n, to: 'private' } });
      await vcpu.respond(exit, -22);
      expect(await vcpu.run()).toEqual({ reason: 'hlt' });
      expect((await vcpu.regs()).rax).toBe(BigInt.asUintN(64, -22n));
    });

    test('gives up where it cannot go on', async () => {
      await using all = await program(code.unknown, { kernel });
      const { vcpu } = all;
      expect(await vcpu.run()).toMatchObject({ reason: 'internal-error', suberror: 1 });
      // No code there; a second run is no different.
      await restart(vcpu, { rip: 0x50_0000n });
      expect(await vcpu.run()).toMatchObject({ reason: 'internal-error', suberror: 1 });
      expect(await vcpu.run()).toMatchObject({ reason: 'internal-error', suberror: 1 });
      // Tables in which nothing is present, and tables where there is no memory.
      const sregs = await vcpu.sregs();
      for (const cr3 of [BigInt(PAGE), 0x50_0000n]) {
        await vcpu.setSregs({ ...sregs, cr0: sregs.cr0 | (1n << 31n), cr3 });
        expect(await vcpu.run()).toEqual({ reason: 'shutdown' });
      }
    });

    test('fails without an exit where plain memory is missing', async () => {
      await using watched = await openWatched({ kernel });
      const vm = await watched.host.createVm();
      await vm.setMemoryRegion({ slot: 0, guestPhysAddr: 0, size: PAGE, userspaceAddr: 0x1000_0000n });
      const vcpu = await vm.createVcpu();
      await restart(vcpu);
      expect(await vcpu.tryRun()).toMatchObject({ ok: false, code: 'EFAULT', errno: -14 });
      await expect(vcpu.run()).rejects.toMatchObject({ name: 'KernelError', code: 'EFAULT', request: 'KVM_RUN' });
    });

    test('of a VM that KVM killed says so', async () => {
      await using all = await program(code.hlt, { kernel });
      const { vm, vcpu, mock } = all;
      mock.killVm(vm.fd);
      const dead = { name: 'VmDeadError', code: 'EIO' };
      expect(await vcpu.tryRun()).toMatchObject({ ok: false, error: dead });
      for (const work of [vcpu.run(), vcpu.regs(), vcpu.setRegs({}), vcpu.preFault({ gpa: 0, size: PAGE })]) {
        await expect(work).rejects.toMatchObject(dead);
      }
    });
  });
}

test('a page in the wrong state is a memory fault, and it can be put right', async () => {
  await using all = await program([...code.fill, ...code.hlt], { kernel: 'rfc-v2' });
  const { vcpu, gmem } = all;
  await gmem.convert({ offset: PAGE, size: PAGE, to: 'private' });
  await restart(vcpu, { rdi: BigInt(PAGE + 5), rcx: 1n });
  const gpa = BigInt(PAGE);
  const fault = { reason: 'memory-fault', errno: -14, private: false, flags: 0n, gpa, size: BigInt(PAGE) };
  expect(await vcpu.run()).toEqual(fault);
  expect(await vcpu.run()).toEqual(fault);
  await gmem.convert({ offset: PAGE, size: PAGE, to: 'shared' });
  expect(await vcpu.run()).toEqual({ reason: 'hlt' });
});

describe('a guest that never exits', () => {
  const forever = () => program([...code.nop, ...code.forever]);

  test('is brought back by a signal, again and again', async () => {
    await using all = await forever();
    for (let round = 0; round < 3; round++) {
      const controller = new AbortController();
      const running = all.vcpu.run({ signal: controller.signal });
      setImmediate(() => controller.abort());
      expect(await running).toEqual(interrupted);
    }
    all.calls.length = 0;
    expect(await all.vcpu.run({ signal: AbortSignal.abort() })).toEqual(interrupted);
    expect(all.calls).toEqual([]);
  });

  test('is brought back by interrupt(), however early it comes', async () => {
    await using all = await forever();
    const early = all.vcpu.run();
    all.vcpu.interrupt();
    expect(await early).toEqual(interrupted);
    const late = all.vcpu.run();
    setImmediate(() => all.vcpu.interrupt());
    expect(await late).toEqual(interrupted);
    // Nothing runs: the next run is not affected.
    all.vcpu.interrupt();
    await all.memory.write(0, Uint8Array.from(code.hlt));
    await restart(all.vcpu);
    expect(await all.vcpu.run()).toEqual({ reason: 'hlt' });
  });

  test('is brought back by a close, which the run outlives', async () => {
    await using all = await forever();
    const running = [all.vcpu.run(), all.vcpu.run()];
    await new Promise(setImmediate);
    await all.vcpu.close();
    expect(await Promise.all(running)).toEqual([interrupted, interrupted]);
    await expect(all.vcpu.run()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  test('is run once at a time: a signal ends its own run', async () => {
    await using all = await forever();
    const [one, other] = [new AbortController(), new AbortController()];
    const ended: string[] = [];
    const first = all.vcpu.run({ signal: one.signal }).then(() => ended.push('first'));
    const second = all.vcpu.run({ signal: other.signal }).then(() => ended.push('second'));
    await new Promise(setImmediate);
    other.abort();
    await new Promise(setImmediate);
    expect(ended).toEqual([]);
    one.abort();
    await Promise.all([first, second]);
    expect(ended).toEqual(['first', 'second']);
    expect(all.calls.filter(({ args }) => args[1] === KVM_RUN.request)).toHaveLength(1);
  });
});

describe('exits()', () => {
  test('has them in order, until the loop is left', async () => {
    await using all = await program([...code.out, ...code.out, ...code.hlt]);
    const seen: VcpuExit['reason'][] = [];
    for await (const exit of all.vcpu.exits()) {
      seen.push(exit.reason);
      if (exit.reason === 'hlt') break;
    }
    expect(seen).toEqual(['io', 'io', 'hlt']);
  });

  test('ends with its signal', async () => {
    await using all = await program([...code.out, ...code.forever]);
    const controller = new AbortController();
    const seen: VcpuExit['reason'][] = [];
    for await (const exit of all.vcpu.exits({ signal: controller.signal })) {
      seen.push(exit.reason);
      setImmediate(() => controller.abort());
    }
    expect(seen).toEqual(['io']);
  });

  test('shows an interrupt that was not its signal', async () => {
    await using all = await program(code.forever);
    setImmediate(() => all.vcpu.interrupt());
    for await (const exit of all.vcpu.exits()) {
      expect(exit).toEqual(interrupted);
      break;
    }
  });
});

describe('preFault', () => {
  test('gives a range, and says how far it got where memory ends', async () => {
    await using all = await program(code.hlt);
    const { vcpu } = all;
    await vcpu.preFault({ gpa: 0, size: 2 * PAGE });
    expect(await vcpu.tryPreFault({ gpa: PAGE, size: 3 * PAGE })).toMatchObject({
      ok: false,
      code: 'ENOENT',
      error: { request: 'KVM_PRE_FAULT_MEMORY', completed: PAGE },
    });
    await expect(vcpu.preFault({ gpa: 0x50_0000, size: PAGE })).rejects.toMatchObject({ code: 'ENOENT', completed: 0 });
  });

  test('stops at a page in the wrong state', async () => {
    await using all = await program(code.hlt, { kernel: 'rfc-v2' });
    await all.gmem.convert({ offset: PAGE, size: PAGE, to: 'private' });
    const result = await all.vcpu.tryPreFault({ gpa: 0, size: 2 * PAGE });
    expect(result).toMatchObject({ code: 'EFAULT', error: { completed: PAGE } });
  });

  test('is unknown to a kernel without it', async () => {
    await using all = await program(code.hlt, { kernel: 'linux-6.18' });
    expect(await all.vcpu.tryPreFault({ gpa: 0, size: PAGE })).toMatchObject({ ok: false, code: 'EINVAL' });
  });
});

test('an id that is taken is EEXIST, and stays taken after a close', async () => {
  await using watched = await openWatched();
  const vm = await watched.host.createVm();
  const vcpu = await vm.createVcpu();
  const { openFds } = watched.mock;
  expect(await vm.tryCreateVcpu()).toMatchObject({ ok: false, code: 'EEXIST' });
  expect(watched.mock.openFds).toBe(openFds);
  await vcpu.close();
  expect(await vm.tryCreateVcpu()).toMatchObject({ ok: false, code: 'EEXIST' });
  expect(await vm.tryCreateVcpu({ id: 1 })).toMatchObject({ ok: true });
});

for (const kernel of realKernels) {
  describe.skipIf(kernel.missing !== undefined)(`a vCPU on a real kernel: ${titleOf(kernel)}`, () => {
    test('has registers, and is closed', async () => {
      await using host = await openHost(kernel.options);
      const vm = await host.createVm();
      const vcpu = await vm.createVcpu();
      expect(await vcpu.regs()).toMatchObject({ rip: 0xfff0n, rflags: 2n });
      await restart(vcpu, { rax: 2n ** 64n - 1n, r15: 7 });
      expect(await vcpu.regs()).toMatchObject({ rax: 2n ** 64n - 1n, r15: 7n, rip: 0n });
      expect((await vcpu.sregs()).cs).toMatchObject({ base: 0n, selector: 0 });
      expect(await vm.tryCreateVcpu()).toMatchObject({ ok: false, code: 'EEXIST' });
      await vcpu.close();
      await vcpu.close();
      await expect(vcpu.regs()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    });
  });
}
