/** The secure EPT by itself: how far a page has come, from the host to a TD and back. */

import { describe, expect, test } from 'vitest';
import { Folio } from '../../../lib/mock/memory.ts';
import { SecureEpt } from '../../../lib/mock/platform/tdx/sept.ts';

const folioOf = (byte: number): Folio => {
  const folio = new Folio(byte);
  folio.bytes.fill(byte);
  return folio;
};

describe('a page', () => {
  test('added while the TD is built keeps its contents, and is accepted', () => {
    const sept = new SecureEpt();
    const folio = folioOf(7);
    expect(sept.add(0, folio)?.state).toBe('mapped');
    sept.accept(0);
    expect([sept.state(0), folio.bytes[0], sept.size]).toEqual(['mapped', 7, 1]);
  });

  test('augmented is pending, and zero once it is accepted', () => {
    const sept = new SecureEpt();
    const folio = folioOf(7);
    expect(sept.augment(3, folio)?.state).toBe('pending');
    sept.accept(4);
    expect(sept.state(3)).toBe('pending');
    sept.accept(3);
    expect([sept.state(3), folio.bytes[0]]).toEqual(['mapped', 0]);
    folio.bytes[0] = 9;
    sept.accept(3);
    expect(folio.bytes[0]).toBe(9);
  });

  test('is in one place once', () => {
    const sept = new SecureEpt();
    sept.augment(3, folioOf(7));
    expect([sept.add(3, folioOf(8)), sept.augment(3, folioOf(8)), sept.size]).toEqual([undefined, undefined, 1]);
  });

  test('is removed when it is blocked, and not before', () => {
    const sept = new SecureEpt();
    const folio = folioOf(7);
    sept.add(3, folio);
    sept.block(4);
    expect(sept.remove(3)).toBeUndefined();
    sept.block(3);
    expect([sept.state(3), sept.remove(4), sept.remove(3), sept.remove(3)]).toEqual([
      'blocked',
      undefined,
      folio,
      undefined,
    ]);
    expect([sept.state(3), sept.size]).toEqual([undefined, 0]);
  });
});

test('all pages come back when the TD is torn down', () => {
  const sept = new SecureEpt();
  const folios = [7, 8, 9].map(folioOf);
  for (const [gfn, folio] of folios.entries()) sept.add(gfn * 1000, folio);
  sept.block(1000);
  expect([...sept.reclaim()]).toEqual(folios);
  expect(sept.size).toBe(0);
});
