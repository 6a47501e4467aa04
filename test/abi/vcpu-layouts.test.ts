/** What no ioctl names but a vCPU's user reads: kvm_run, its exits, and the structs inside structs. */

import { describe, expect, test } from 'vitest';
import { exitData, KVM_RUN_EXIT, KVM_SET_SREGS, kvm_run, type Struct } from '../../lib/abi/index.ts';
import { loadAddon } from '../../lib/syscalls/addon.ts';
import { probeBackends } from '../../lib/syscalls/open.ts';

const probe = probeBackends().find(({ backend }) => backend === 'native');
const missing = probe?.available ? undefined : (probe?.description ?? 'no such backend');

const nested = KVM_SET_SREGS.struct.fields.map(({ type }) => type).filter((type) => 'fields' in type);
const declared = new Map(
  [kvm_run, ...Object.values(exitData), ...nested].map((struct) => [struct.name, struct as Struct]),
);

describe.skipIf(missing !== undefined)(missing === undefined ? 'vCPU layouts' : `vCPU layouts: ${missing}`, () => {
  test.each([...declared])('%s', (name, { size, fields }) => {
    const compiled = loadAddon()
      .addon.layouts()
      .structs.find((struct) => struct.name === name);
    expect(compiled).toMatchObject({
      size,
      fields: fields.map((field) => ({ name: field.name, offset: field.offset, size: field.type.size })),
    });
  });

  test('exit data begins where the fixed part ends', () => {
    expect(KVM_RUN_EXIT).toBe(32);
    expect([...declared.keys()]).toEqual(expect.arrayContaining(['kvm_segment', 'kvm_dtable', 'kvm_run.io']));
  });
});
