/** What lib/abi declares is what a C compiler makes of the kernel's headers. */

import { describe, expect, test } from 'vitest';
import { statx } from '../../lib/abi/linux.ts';
import type { Struct } from '../../lib/abi/struct.ts';
import { ioctls } from '../../lib/abi/table.ts';
import { type Layouts, loadAddon } from '../../lib/syscalls/addon.ts';
import { missing } from '../native/addon.ts';

/** Padding and spare room: a name that says it means nothing, or one that other headers give to new fields. */
const SPARE = /^(__|reserved|pad)/;

function declaredStructs(): Map<string, Struct> {
  const found = new Map<string, Struct>([[statx.name, statx]]);
  for (const { ioctl } of ioctls) if (ioctl.struct !== undefined) found.set(ioctl.struct.name, ioctl.struct);
  return found;
}

describe.skipIf(missing !== undefined)(missing === undefined ? 'layouts' : `layouts: ${missing}`, () => {
  const compiled = (): Layouts => loadAddon().addon.layouts();

  test.each(ioctls.map(({ name, ioctl }) => [name, ioctl.request] as const))('%s is 0x%x', (name, request) => {
    const found = compiled().requests.find((entry) => entry.name === name);
    expect(found, `${name} in native/layouts.cc`).toMatchObject({ number: request });
  });

  test.each([...declaredStructs()])('struct %s', (name, declared) => {
    const found = compiled().structs.find((entry) => entry.name === name);
    expect(found, `${name} in native/layouts.cc`).toMatchObject({ size: declared.size });
    for (const { name: field, offset, type } of declared.fields) {
      const laidOut = found?.fields.find((entry) => entry.name === field);
      if (laidOut === undefined && SPARE.test(field)) continue;
      expect({ [field]: laidOut }).toEqual({ [field]: { name: field, offset, size: type.size } });
    }
  });

  test('the addon knows nothing that is not declared', () => {
    const nested = ['statx_timestamp'];
    expect(compiled().structs.map(({ name }) => name)).toEqual(
      expect.toSatisfy((names: string[]) =>
        names.every((name) => declaredStructs().has(name) || nested.includes(name)),
      ),
    );
    const requests = ioctls.map(({ name }) => name);
    expect(compiled().requests.filter(({ name }) => !requests.includes(name))).toEqual([]);
  });

  test('what the headers lack is told', () => {
    const { linuxVersionCode, structs } = compiled();
    const source = (name: string) => structs.find((entry) => entry.name === name)?.source;
    expect(source('kvm_enable_cap')).toBe('header');
    expect(source('kvm_create_guest_memfd')).toBe(linuxVersionCode >= 0x60800 ? 'header' : 'own');
  });
});
