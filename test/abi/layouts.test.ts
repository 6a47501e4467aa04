/** What lib/abi declares is what a C compiler makes of the kernel's headers. */

import { describe, expect, test } from 'vitest';
import { type AnyCommand, sevCommands, tdxCommands } from '../../lib/abi/index.ts';
import { ioctls } from '../../lib/abi/table.ts';
import { type Layouts, loadAddon } from '../../lib/syscalls/addon.ts';
import { missing } from '../native/addon.ts';
import { declaredStructs } from './declared.ts';

/** Padding and spare room: a name that says it means nothing, or one that other headers give to new fields. */
const SPARE = /^(__|reserved|pad)/;

const commands: readonly AnyCommand[] = [...sevCommands, ...tdxCommands];

describe.skipIf(missing !== undefined)(missing === undefined ? 'layouts' : `layouts: ${missing}`, () => {
  const compiled = (): Layouts => loadAddon().addon.layouts();

  // A declaration works from the moment it stands in the table; that no C compiler has seen it yet is worth a word.
  const unseen = (name: string) => `no C compiler has seen ${name}: add it to native/layouts.cc`;

  test.for(ioctls)('$name', ({ name, ioctl }, context) => {
    const found = compiled().requests.find((entry) => entry.name === name);
    if (!found) context.skip(unseen(name));
    expect(found).toMatchObject({ number: ioctl.request });
  });

  test.for([...declaredStructs.values()])('struct $name', (declared, context) => {
    const found = compiled().structs.find(({ name }) => name === declared.name);
    if (!found) context.skip(unseen(declared.name));
    expect(found).toMatchObject({ size: declared.size });
    for (const { name: field, offset, type } of declared.fields) {
      const laidOut = found?.fields.find((entry) => entry.name === field);
      if (laidOut === undefined && SPARE.test(field)) continue;
      expect({ [field]: laidOut }).toEqual({ [field]: { name: field, offset, size: type.size } });
    }
  });

  test.skipIf(process.arch !== 'x64')('commands inside an ioctl', () => {
    const numbers = Object.fromEntries(compiled().commands.map(({ name, number }) => [name, number]));
    expect(Object.fromEntries(commands.map(({ name, id }) => [name, id]))).toEqual(numbers);
  });

  test('the addon knows nothing that is not declared', () => {
    const names = compiled().structs.map(({ name }) => name);
    expect(names.filter((name) => !declaredStructs.has(name))).toEqual([]);
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
