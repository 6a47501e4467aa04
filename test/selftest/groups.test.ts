import { describe, expect, it } from 'vitest';
import { platformNames, profileNames } from '../../lib/mock/index.ts';
import { hostOptions, planGroups, specName } from '../../lib/selftest/index.ts';

const names = (wishes: Parameters<typeof planGroups>[0]) => planGroups(wishes).map(specName);

describe('planGroups', () => {
  it('without wishes takes both real backends, where they work, and every mocked kernel', () => {
    const groups = planGroups({});
    expect(groups.filter(({ required }) => !required).map(specName)).toEqual(['native', 'ffi']);
    for (const kernel of profileNames) {
      expect(groups).toContainEqual(
        expect.objectContaining({ kernel, platform: 'software-protected', required: true }),
      );
    }
  });

  it('takes the kernels that convert in place to every platform', () => {
    const all = names({});
    for (const platform of platformNames) {
      expect(all).toContain(`mock rfc-v2 ${platform}`);
      expect(all).toContain(`mock inplace-v13 ${platform}`);
    }
    expect(all).not.toContain('mock linux-6.18 tdx');
  });

  it.each([
    [{ backends: ['native'] as const }, ['native']],
    [{ kernels: ['rfc-v2'] as const }, ['mock rfc-v2 software-protected']],
    [{ platforms: ['tdx'] as const }, profileNames.map((kernel) => `mock ${kernel} tdx`)],
    [
      { backends: ['ffi', 'mock'] as const, kernels: ['linux-7.3'] as const, platforms: ['tdx', 'sev-snp'] as const },
      ['ffi', 'mock linux-7.3 tdx', 'mock linux-7.3 sev-snp'],
    ],
  ])('%o', (wishes, expected) => {
    expect(names(wishes)).toEqual(expected);
    for (const { required } of planGroups(wishes)) expect(required).toBe(true);
  });

  it('passes a dialect to every host', () => {
    const groups = planGroups({ dialect: 'attributes2' });
    expect(new Set(groups.map((spec) => hostOptions(spec).dialect))).toEqual(new Set(['attributes2']));
    expect(Object.keys(hostOptions(groups[0]!)).sort()).toEqual(['backend', 'dialect']);
  });
});
