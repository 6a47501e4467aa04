/** Two mocks instead of a kernel and a mock: for tests of the test, and where there is no kernel. */

import type { Dialect } from '../../lib/abi/ioctl.ts';
import { KVM_X86_DEFAULT_VM, KVM_X86_SW_PROTECTED_VM } from '../../lib/abi/kvm.ts';
import type { MockOptions } from '../../lib/mock/index.ts';
import { mockSide } from './kernels.ts';
import type { Kernels } from './run.ts';
import type { Side } from './side.ts';

/** `twin` may change what the second one does. */
export function twinMocks(
  options: MockOptions,
  dialect: Dialect,
  twin: (side: Side) => Side = (side) => side,
): Kernels {
  const real = mockSide(options);
  return {
    facts: {
      dialect,
      vmTypes: [KVM_X86_DEFAULT_VM, KVM_X86_SW_PROTECTED_VM],
      guest: true,
      pins: true,
      iommufdTest: true,
      vfioDevice: true,
    },
    real,
    mock: () => twin(mockSide(options)),
    names: ['one', 'twin'],
  };
}
