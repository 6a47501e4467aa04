import { createMock } from '../../lib/mock/index.ts';
import { openBackend } from '../../lib/syscalls/open.ts';
import { missingFor } from './missing.ts';
import { seamContract } from './seam.ts';

seamContract({
  name: 'native',
  make: () => openBackend('native'),
  kernel: true,
  concurrent: true,
  missing: missingFor('native'),
});
seamContract({ name: 'ffi', make: () => openBackend('ffi'), kernel: true, missing: missingFor('ffi') });
seamContract({ name: 'mock', make: () => createMock({ kernel: 'linux-6.18' }).syscalls });
