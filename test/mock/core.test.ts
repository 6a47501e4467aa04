/** guest_memfd's core knows neither KVM nor an IOMMU nor an architecture: it imports none of them. */

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const CORE = new URL('../../lib/mock/guest-memfd/', import.meta.url);
const sources = readdirSync(CORE).filter((name) => name.endsWith('.ts'));

test.each(sources)('%s', (name) => {
  const source = readFileSync(new URL(name, CORE), 'utf8');
  const imports = [...source.matchAll(/from '(\.\.\/[^']+)'/g)].map(([, path]) => path);
  expect(imports.filter((path) => /\/(kvm|iommu|platform|cpu|process|invariants)\//.test(path!))).toEqual([]);
});
