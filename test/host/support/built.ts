/** The package as it is installed: JavaScript, for child processes and worker threads. */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** For import(): the URL of a file of lib/, such as `index.js`. */
export const builtUrl = (file: string): string => new URL(`file://${join(ROOT, 'dist', file)}`).href;
