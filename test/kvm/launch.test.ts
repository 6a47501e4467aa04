/** Around the launch of confidential VMs, whose cases are `gmem selftest`'s: wrong use, what is left open, and the worst end. */

import { describe, expect, test } from 'vitest';
import type { HostOptions } from '../../lib/host/index.ts';
import { type Host, launch, openHost, sevGuest, tdxGuest, tryLaunch, type Vm } from '../../lib/kvm/index.ts';

const PAGE = 0x1000;
const GPA = 0x1_0000_0000n;
const TYPES = [
  { type: 'snp', platform: 'sev-snp' },
  { type: 'tdx', platform: 'tdx' },
] as const;
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
  test('before its launch a VM does not run', async () => {
    await using host = await open(platform);
    const { vm } = await world(host, type);
    expect(guestReads(host, vm)).toEqual({ ok: false, exit: { reason: 'failed', errno: -22 } });
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

describe('wrong use', () => {
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

describe('a TD', () => {
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
    const hazard = host.mock!.journal.entries.find(({ step }) => step === 'hazard');
    expect(hazard?.detail).toMatch(/^host reads: machine check/);
  });
});
