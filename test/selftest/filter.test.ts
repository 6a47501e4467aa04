import { describe, expect, it } from 'vitest';
import { type AnyCase, defineCase, select, unmatched } from '../../lib/selftest/index.ts';

const named = (name: string, variants?: Record<string, number>): AnyCase =>
  defineCase({ name, about: '', ...(variants && { variants }), run: async () => {} });

const cases = [named('create-sizes'), named('create-flags', { mmap: 1, plain: 2 }), named('convert', { mmap: 3 })];
const titles = (filter = {}) => select(cases, filter).map(({ title }) => title);

describe('select', () => {
  it('takes everything, a case once for each variant', () => {
    expect(titles()).toEqual(['create-sizes', 'create-flags.mmap', 'create-flags.plain', 'convert.mmap']);
    expect(select(cases).map(({ value }) => value)).toEqual([undefined, 1, 2, 3]);
  });

  it.each([
    [{ names: ['create-*'] }, ['create-sizes', 'create-flags.mmap', 'create-flags.plain']],
    [{ names: ['create'] }, []],
    [{ names: ['convert', 'create-size?'] }, ['create-sizes', 'convert.mmap']],
    [{ notNames: ['create-*'] }, ['convert.mmap']],
    [{ variants: ['m*'] }, ['create-flags.mmap', 'convert.mmap']],
    [{ notVariants: ['mmap'] }, ['create-sizes', 'create-flags.plain']],
    [{ names: ['c*'], notNames: ['convert'], variants: ['*'], notVariants: ['plain'] }, ['create-flags.mmap']],
  ])('%o', (filter, expected) => {
    expect(titles(filter)).toEqual(expected);
  });

  it('takes other signs than * and ? literally', () => {
    expect(select([named('a.b'), named('axb')], { names: ['a.b'] }).map(({ title }) => title)).toEqual(['a.b']);
  });
});

it('unmatched names the patterns that fit nothing', () => {
  expect(unmatched(cases, { names: ['create-*', 'crate'], notNames: ['x'], variants: ['mmap', 'map'] })).toEqual([
    'crate',
    'x',
    'map',
  ]);
});
