import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { capabilities, capabilityNames, errno, errnoName, errnoText } from '../../lib/abi/index.ts';
import { CALL_NAMES } from '../../lib/syscalls/seam.ts';

test('errno agrees with Node wherever Node knows the name', () => {
  for (const [name, number] of Object.entries(constants.errno)) {
    expect(errnoName(number), `${name} is ${number}`).toBeDefined();
    if (name in errno) expect(errno).toHaveProperty(name, number);
  }
});

test('errno knows what Node does not', () => {
  expect([errno.EHWPOISON, errnoName(-133), errnoText(133)]).toEqual([
    133,
    'EHWPOISON',
    'memory page has hardware error',
  ]);
  expect([errnoName(4095), errnoText(-4095)]).toEqual([undefined, 'unknown error 4095']);
});

test('EAGAIN, EDEADLK and EOPNOTSUPP go by the names the kernel uses', () => {
  expect([11, 35, 95].map(errnoName)).toEqual(['EAGAIN', 'EDEADLK', 'EOPNOTSUPP']);
});

test('numbers that unreleased series took go by every name they have', () => {
  expect(capabilityNames(241)).toEqual(['KVM_CAP_GMEM_CONVERSION', 'KVM_CAP_ARM_EL2_E2H0']);
  expect(capabilityNames(9999)).toEqual([]);
});

test('two names share a number only where one is of an unreleased series or of another architecture', () => {
  const plain = Object.values(capabilities).filter((cap) => !('series' in cap) && !('arch' in cap));
  expect(new Set(plain.map(({ number }) => number)).size).toBe(plain.length);
});

test('the list of calls is the list in the interface', () => {
  const source = readFileSync(new URL('../../lib/syscalls/seam.ts', import.meta.url), 'utf8');
  const body = /export interface Calls \{(.*?)\n\}/s.exec(source)![1]!;
  const declared = [...body.matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name);
  expect([...CALL_NAMES]).toEqual(declared);
});
