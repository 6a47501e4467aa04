// @ts-check
import { readFileSync } from 'node:fs';

/**
 * @param {number} pid
 * @returns {{ name: string, parent: number } | undefined}
 */
function readProcess(pid) {
  try {
    // The name is in parentheses and may hold anything, parentheses too.
    const [, name = '', parent = ''] = /\((.*)\) \S+ (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    return { name, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

/**
 * The process whose end is the end of `npm run`: the parent, or its parent when npm's shell did not step aside.
 * @returns {number}
 */
function runner() {
  const parent = readProcess(process.ppid);
  return parent !== undefined && /^(ba|da|z|k)?sh$/.test(parent.name) ? parent.parent : process.ppid;
}

/**
 * npm can be killed in a way that it cannot pass on; what it started ends with it all the same. Outside npm a lab may
 * well outlive the shell that started it.
 */
export function endWithNpm() {
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const npm = runner();
  setInterval(() => npm === runner() || process.exit(128 + 1), 250).unref();
}
