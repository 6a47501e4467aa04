/**
 * The mock's IOMMU against what Linux 7.3.4 answered to the same calls: what `iommu/main.ts native`, bundled, prints in
 * the lab.
 */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createMock } from '../../lib/mock/index.ts';
import { scenarios } from './iommu/index.ts';
import { runScenario } from './iommu/kit.ts';

const recorded = readFileSync(new URL('iommu/linux-7.3.4.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');

for (const scenario of scenarios) {
  test(`the mock answers as Linux 7.3.4: ${scenario.name}`, () => {
    const { syscalls } = createMock({ kernel: 'linux-7.3' });
    const expected = recorded.filter((line) => line.startsWith(`${scenario.name} / `));
    expect(expected.length).toBeGreaterThan(0);
    expect(runScenario(syscalls, scenario)).toEqual(expected);
    syscalls.dispose();
  });
}
