/** Runs before all tests, which use dist: compiles what changed in lib. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

export function setup(): void {
  const cwd = join(import.meta.dirname, '..');
  execFileSync('bash', ['-c', '. scripts/setup && setup'], { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
}
