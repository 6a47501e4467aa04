/** Bringing confidential VMs up on the mock: the whole launch, its steps, and what goes wrong in them. */

import { describe, expect, test } from 'vitest';
import { snpPageTypes } from '../../lib/abi/index.ts';
import type { HostOptions } from '../../lib/host/index.ts';
import { type Host, launch, openHost, sevGuest, tdxGuest, tryLaunch, type Vm } from '../../lib/kvm/index.ts';

const PAGE = 0x1000;
const GPA = 0x1_0000_0000n;
const TYPES = [
  { type: 'snp', platform: 'sev-snp' },
  { type: 'tdx', platform: 'tdx' },
] as const;
const KERNELS = ['linux-7.3', 'rfc-v2', 'inplace-v13'] as const;
const secret = new Uint8Array(PAGE).fill(0x5e);

const open = (platform: 'sev-snp' | 'tdx', kernel: HostOptions['kernel'] = 'inplace-v13'): Promise<Host> =>
  openHost({ backend: 'mock', kernel, platform });

/** A VM with private pages at GPA. */
async function world(host: Host, type: 'snp' | 'tdx', pages = 4) {
  const vm = await host.createVm({ type });
  const { createFlags, dialect } = host.features;
  const initially = createFlags[type]!.initShared ? 'shared' : 'private';
  const gmem = await vm.createGuestMemfd({ size: pages * PAGE, mmap: true, initially });
  const map = await gmem.map();
  await vm.setMemoryRegion({ slot: 0, guestPhysAddr: GPA, size: pages * PAGE, gmem, userspaceAddr: map });
  const toPrivate = async () => {
    if (dialect === 'vm-attributes') {
      await vm.setMemoryAttributes({ address: GPA, size: pages * PAGE, to: 'private' });
    } else await gmem.convert({ offset: 0, size: pages * PAGE, to: 'private' });
  };
  return { vm, gmem, map, toPrivate };
}

const guestReads = (host: Host, vm: Vm, page = 0) => host.mock!.guest(vm.fd).read(GPA + BigInt(page * PAGE), PAGE);

describe.each(TYPES)('$type', ({ type, platform }) => {
  test.each(KERNELS)('on %s the guest finds what the launch put there, and zeroes', async (kernel) => {
    await using host = await open(platform, kernel);
    const { vm, toPrivate } = await world(host, type);
    await toPrivate();
    const { vcpus } = await launch(vm, {
      vcpus: 2,
      memory: [
        { gpa: GPA, contents: secret },
        { gpa: GPA + BigInt(PAGE), size: 2 * PAGE },
      ],
    });
    expect(vcpus.map(({ id }) => id)).toEqual([0, 1]);
    expect(guestReads(host, vm)).toEqual({ ok: true, bytes: secret });
    expect(guestReads(host, vm, 2)).toEqual({ ok: true, bytes: new Uint8Array(PAGE) });
    expect(guestReads(host, vm, 3)).toMatchObject({ ok: true });
  });

  test('memory that is not private is refused by name', async () => {
    await using host = await open(platform);
    const { vm } = await world(host, type);
    const result = await tryLaunch(vm, { vcpus: 1, memory: [{ gpa: GPA, contents: secret }] });
    const command = type === 'snp' ? 'KVM_SEV_SNP_LAUNCH_UPDATE' : 'KVM_TDX_INIT_MEM_REGION';
    expect(result).toMatchObject({ ok: false, code: type === 'snp' ? 'EIO' : 'EINVAL', error: { command } });
    expect(result.ok ? '' : result.error.message).toContain('private');
  });

  test('a page is launched once', async () => {
    await using host = await open(platform);
    const { vm, toPrivate } = await world(host, type);
    await toPrivate();
    const twice = [
      { gpa: GPA, contents: secret },
      { gpa: GPA, contents: secret },
    ];
    expect(await tryLaunch(vm, { vcpus: 1, memory: twice })).toMatchObject({ code: 'EIO' });
  });

  test('in place: what the host wrote before the conversion is what the guest begins with', async () => {
    await using host = await open(platform);
    const { vm, map, toPrivate } = await world(host, type);
    await map.write(0, secret);
    await toPrivate();
    await launch(vm, { vcpus: 1, memory: [{ gpa: GPA, size: PAGE, contents: 'in-place' }] });
    expect(guestReads(host, vm)).toEqual({ ok: true, bytes: secret });
  });

  test.each(['linux-7.3', 'rfc-v2'] as const)('%s takes nothing in place', async (kernel) => {
    await using host = await open(platform, kernel);
    const { vm, toPrivate } = await world(host, type);
    await toPrivate();
    const memory = [{ gpa: GPA, size: PAGE, contents: 'in-place' as const }];
    expect(await tryLaunch(vm, { vcpus: 1, memory })).toMatchObject({ code: 'EINVAL' });
  });

  test('before its launch a VM does not run, and after it shows no registers', async () => {
    await using host = await open(platform);
    const { vm } = await world(host, type);
    expect(guestReads(host, vm)).toEqual({ ok: false, exit: { reason: 'failed', errno: -22 } });
    if (type === 'tdx') expect(await vm.tryCreateVcpu()).toMatchObject({ code: 'EIO' });
    const { vcpus } = await launch(vm, { vcpus: 1 });
    await expect(vcpus[0]!.regs()).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(vcpus[0]!.setRegs({ rip: 0n })).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(vcpus[0]!.sregs()).rejects.toMatchObject({ code: 'EINVAL' });
  });

  test('memory is pre-faulted after the launch only', async () => {
    await using host = await open(platform);
    const { vm, toPrivate } = await world(host, type);
    await toPrivate();
    const range = { gpa: GPA, size: PAGE };
    const before: unknown[] = [];
    const { vcpus } = await launch(vm, {
      vcpus: 1,
      setUp: async (vcpu) => {
        before.push(await vcpu.tryPreFault(range));
      },
    });
    expect(before).toMatchObject([{ code: 'EOPNOTSUPP' }]);
    expect(await vcpus[0]!.tryPreFault(range)).toEqual({ ok: true, value: undefined });
  });

  test('a page that the guest did not accept is its end', async () => {
    await using host = await open(platform);
    const { vm, toPrivate } = await world(host, type);
    await toPrivate();
    await launch(vm, { vcpus: 1, memory: [{ gpa: GPA, contents: secret }] });
    const guest = host.mock!.guest(vm.fd);
    expect(guest.read(GPA, 1, { accepts: false })).toMatchObject({ ok: true });
    const exit = type === 'snp' ? { reason: 'shutdown' } : { reason: 'failed', errno: -5 };
    expect(guest.read(GPA + BigInt(PAGE), 1, { accepts: false })).toEqual({ ok: false, exit });
    if (type === 'tdx') await expect(vm.checkExtension(3)).rejects.toMatchObject({ name: 'VmDeadError' });
  });

  test('nothing is left open by a launch that fails, nor by one that works', async () => {
    await using host = await open(platform);
    const { vm } = await world(host, type);
    const before = host.mock!.openFds;
    await tryLaunch(vm, { vcpus: 2, memory: [{ gpa: GPA, contents: secret }] });
    await vm.close();
    expect(host.mock!.openFds).toBeLessThan(before);
    const other = await host.createVm({ type });
    const fds = host.mock!.openFds;
    await launch(other);
    expect(host.mock!.openFds).toBe(fds);
  });
});

describe('SEV-SNP, step by step', () => {
  test('the order is held by KVM and by the firmware, which is named', async () => {
    await using host = await open('sev-snp');
    const { vm } = await world(host, 'snp');
    const sev = sevGuest(vm);
    expect(await sev.tryStart()).toMatchObject({ code: 'ENOTTY', error: { command: 'KVM_SEV_SNP_LAUNCH_START' } });
    await sev.init();
    expect(await sev.tryInit()).toMatchObject({ code: 'EPERM' });
    expect(await sev.tryFinish()).toMatchObject({ code: 'EINVAL' });
    await sev.start();
    expect(await sev.tryStart()).toMatchObject({ code: 'EINVAL' });
    await sev.finish();
    const again = await sev.tryFinish();
    expect(again).toMatchObject({
      code: 'EIO',
      error: { firmware: { name: 'SEV_RET_INVALID_GUEST_STATE', code: 2n } },
    });
    expect(again.ok ? '' : again.error.message).toContain('have an order');
  });

  test('a policy that the platform does not meet is refused by the firmware, one KVM does not know by KVM', async () => {
    await using host = await open('sev-snp');
    const sev = sevGuest(await host.createVm({ type: 'snp' }));
    await sev.init();
    expect(await sev.tryStart({ policy: 1n << 17n })).toMatchObject({
      code: 'EIO',
      error: { firmware: { name: 'SEV_RET_POLICY_FAILURE' } },
    });
    expect(await sev.tryStart({ policy: 1n << 16n })).toMatchObject({ code: 'EINVAL' });
    expect(await sev.tryStart({ policy: 1n << 40n })).toMatchObject({ code: 'EINVAL' });
    await sev.start({ policy: (1n << 17n) | (1n << 16n) });
  });

  test('a vCPU enters only once it is sealed', async () => {
    await using host = await open('sev-snp');
    const vm = await host.createVm({ type: 'snp' });
    const sev = sevGuest(vm);
    await sev.init();
    const vcpu = await vm.createVcpu();
    expect(await vcpu.run()).toMatchObject({ reason: 'fail-entry', hardwareReason: 0xffff_ffffn });
    await sev.start();
    await sev.finish();
    const late = await vm.createVcpu({ id: 1 });
    expect(await late.run()).toMatchObject({ reason: 'fail-entry' });
  });

  test.each(Object.keys(snpPageTypes) as (keyof typeof snpPageTypes)[])('pages of type %s', async (type) => {
    await using host = await open('sev-snp');
    const { vm, toPrivate } = await world(host, 'snp');
    await toPrivate();
    await launch(vm, { memory: [{ gpa: GPA, contents: secret, type }] });
    const bytes = type === 'zero' ? new Uint8Array(PAGE) : secret;
    expect(guestReads(host, vm)).toEqual({ ok: true, bytes });
  });

  test('wrong use is told before any system call', async () => {
    await using host = await open('sev-snp');
    const vm = await host.createVm({ type: 'snp' });
    const sev = sevGuest(vm);
    const outOfRange = { code: 'ERR_OUT_OF_RANGE' };
    await expect(sev.update({ gpa: 1, contents: secret })).rejects.toMatchObject(outOfRange);
    await expect(sev.update({ gpa: 0 })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    await expect(sev.update({ gpa: 0, size: PAGE, contents: new Uint8Array(PAGE + 1) })).rejects.toMatchObject(
      outOfRange,
    );
    await expect(sev.start({ gosvw: new Uint8Array(15) })).rejects.toMatchObject(outOfRange);
    await expect(sev.finish({ idBlock: new Uint8Array(96) })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    await expect(launch(vm, { vcpus: -1 })).rejects.toMatchObject(outOfRange);
    await expect(launch(vm, { memory: 1 as never })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    await expect(launch({} as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    expect(() => tdxGuest(vm)).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED' }));
    await expect(launch(await host.createVm())).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
    await vm.close();
    await expect(launch(vm)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await expect(sev.init()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });
});

describe('TDX, step by step', () => {
  test('a TD is given what the module offers, and nothing else', async () => {
    await using host = await open('tdx');
    const tdx = tdxGuest(await host.createVm({ type: 'tdx' }));
    const { attributes, xfam, cpuid } = await tdx.capabilities();
    expect(cpuid.length).toBeGreaterThan(0);
    expect(await tdx.tryInit({ attributes: 1n })).toMatchObject({ code: 'EINVAL' });
    expect(await tdx.tryInit({ xfam: xfam | (1n << 62n) })).toMatchObject({ code: 'EINVAL' });
    expect(await tdx.tryInit({ cpuid: [] })).toMatchObject({ code: 'EINVAL' });
    const stranger = { ...cpuid[0]!, function: 0x40 };
    expect(await tdx.tryInit({ cpuid: [...cpuid, stranger] })).toMatchObject({ code: 'EINVAL' });
    await tdx.init({ attributes, xfam });
    expect(await tdx.tryInit()).toMatchObject({ code: 'EINVAL' });
  });

  test('its vCPUs need a split irqchip, and show what CPUID answers', async () => {
    await using host = await open('tdx');
    const vm = await host.createVm({ type: 'tdx' });
    const tdx = tdxGuest(vm);
    await tdx.init();
    expect(await vm.tryCreateVcpu()).toMatchObject({ code: 'EINVAL' });
    await vm.enableCap('KVM_CAP_SPLIT_IRQCHIP', [24]);
    const vcpu = await vm.createVcpu();
    expect((await tdx.cpuid(vcpu)).map((entry) => entry.function)).toContain(0x8000_0008);
    expect(await tdx.tryInitMemory(vcpu, { gpa: 0, size: PAGE })).toMatchObject({ code: 'EINVAL' });
    await tdx.initVcpu(vcpu, 7);
    expect(await tdx.tryInitVcpu(vcpu)).toMatchObject({ code: 'EINVAL' });
    await tdx.finalize();
    expect(await tdx.tryFinalize()).toMatchObject({ code: 'EINVAL' });
    expect(await tdx.tryCpuid(vcpu)).toMatchObject({ code: 'EINVAL' });
    expect(await vm.tryCreateVcpu({ id: 1 })).toMatchObject({ code: 'EIO' });
  });

  test.each([
    { addressWidth: 48, bit: 1n << 47n },
    { addressWidth: 52, bit: 1n << 51n },
  ] as const)('with addresses of $addressWidth bits the shared bit is the last', async ({ addressWidth, bit }) => {
    await using host = await open('tdx');
    const { vm } = await world(host, 'tdx');
    await launch(vm, { tdx: { addressWidth } });
    const guest = host.mock!.guest(vm.fd);
    expect(guest.write(GPA | bit, Uint8Array.of(9))).toEqual({ ok: true });
    expect(guest.read(GPA, 1)).toMatchObject({ ok: false, exit: { reason: 'memory-fault', gpa: GPA, flags: 8n } });
    const alias = { slot: 1, guestPhysAddr: bit, size: PAGE };
    expect(await vm.trySetMemoryRegion(alias)).toMatchObject({ code: 'EINVAL' });
  });

  test('a SEAMCALL that fails kills the VM, and the host must not touch what the TD kept', async () => {
    await using host = await open('tdx', 'rfc-v2');
    const { vm, gmem, map, toPrivate } = await world(host, 'tdx');
    await toPrivate();
    await launch(vm, { vcpus: 1, memory: [{ gpa: GPA, contents: secret }] });
    host.mock!.faults.failSeamcall(1);
    await gmem.tryConvert({ offset: 0, size: PAGE, to: 'shared' });
    await expect(vm.checkExtension(3)).rejects.toMatchObject({ name: 'VmDeadError' });
    expect(host.mock!.machineCheck).toBeUndefined();
    await expect(map.tryRead(0, 1)).rejects.toMatchObject({ name: 'MockHostCrashedError' });
    expect(host.mock!.machineCheck).toBe('the host used a shared mapping of a page that a TD has');
  });
});
