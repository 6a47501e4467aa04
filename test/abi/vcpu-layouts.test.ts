/** Where the exits of a vCPU stand, which no single struct says. */

import { expect, test } from 'vitest';
import { exitData, KVM_RUN_EXIT } from '../../lib/abi/index.ts';
import { declaredStructs } from './declared.ts';

test('exit data begins where the fixed part ends', () => {
  expect(KVM_RUN_EXIT).toBe(32);
  const exits = Object.keys(exitData).map((name) => `kvm_run.${name}`);
  expect([...declaredStructs.keys()]).toEqual(expect.arrayContaining(['kvm_segment', 'kvm_dtable', ...exits]));
});
