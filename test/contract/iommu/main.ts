/** Prints what the scenarios show of a backend: of the kernel this runs on, or of the mock. */

import { createMock } from '../../../lib/mock/index.ts';
import { openBackend } from '../../../lib/syscalls/open.ts';
import { scenarios } from './index.ts';
import { runScenario } from './kit.ts';

const [backend = 'mock'] = process.argv.slice(2);
const syscalls = backend === 'mock' ? createMock({ kernel: 'linux-7.3' }).syscalls : openBackend('native');
for (const scenario of scenarios) for (const line of runScenario(syscalls, scenario)) console.log(line);
syscalls.dispose();
