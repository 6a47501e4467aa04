/** What the mocked TDX module offers, to the bit, and what a TD finds of it. */

import { expect, test } from 'vitest';
import * as abi from '../../../lib/abi/index.ts';
import { type CpuidEntry, openHost, tdxGuest } from '../../../lib/kvm/index.ts';

const entry = (values: Partial<CpuidEntry>): CpuidEntry =>
  abi.kvm_cpuid_entry2.decode(abi.kvm_cpuid_entry2.encode(values));
const open = () => openHost({ backend: 'mock', kernel: 'inplace-v13', platform: 'tdx' });

const OFFERED = [
  entry({ function: 1, ecx: 1 << 24, edx: 1 << 22 }),
  entry({ function: 7, ebx: 1 << 9, edx: 1 << 4 }),
  entry({ function: abi.CPUID_ADDRESS_SIZES, eax: 0xff << 16, ebx: 1 << 9 }),
];

test('what a TD may be given', async () => {
  await using host = await open();
  const vm = await host.createVm({ type: 'tdx' });
  expect(await tdxGuest(vm).capabilities()).toEqual({
    attributes: abi.TDX_TD_ATTR_SEPT_VE_DISABLE,
    xfam: 0b111n,
    cpuid: OFFERED,
  });
  await vm.close();
});

test('CPUID has what was chosen, and says itself what it has', async () => {
  await using host = await open();
  const vm = await host.createVm({ type: 'tdx' });
  const tdx = tdxGuest(vm);
  const width = 52 << 16;
  await tdx.init({
    addressWidth: 52,
    cpuid: [
      entry({ function: 1, index: 3, ecx: 1 << 24 }),
      entry({ function: abi.CPUID_ADDRESS_SIZES, index: 0, flags: 1, eax: width, ebx: 1 << 9 }),
    ],
  });
  await vm.enableCap('KVM_CAP_SPLIT_IRQCHIP', [abi.KVM_IOAPIC_NUM_PINS]);
  const vcpu = await vm.createVcpu();
  expect(await tdx.cpuid(vcpu)).toEqual([
    entry({ function: 0, eax: 7 }),
    entry({ function: 1, ecx: 1 << 24 }),
    entry({ function: 7 }),
    entry({ function: 0x8000_0000, eax: 0x8000_0008 }),
    entry({ function: abi.CPUID_ADDRESS_SIZES, eax: width, ebx: 1 << 9 }),
  ]);
  await vcpu.close();
  await vm.close();
});
