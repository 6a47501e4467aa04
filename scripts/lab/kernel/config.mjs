// @ts-check
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Failure } from '../host/failure.mjs';

/** @typedef {Map<string, string>} Settings symbol without CONFIG_ -> value as .config writes it; 'n' when not set */

const SET = /^CONFIG_(\w+)=(.+)$/;
const NOT_SET = /^# CONFIG_(\w+) is not set$/;

/**
 * @param {string} text a config fragment or a .config
 * @param {string} name for the message about a line that is neither a setting nor a comment
 * @returns {Settings}
 */
export function parseConfig(text, name) {
  /** @type {Settings} */
  const settings = new Map();
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    const set = SET.exec(line);
    const not = NOT_SET.exec(line);
    if (set !== null) settings.set(/** @type {string} */ (set[1]), /** @type {string} */ (set[2]));
    else if (not !== null) settings.set(/** @type {string} */ (not[1]), 'n');
    else if (line !== '' && !line.startsWith('#')) {
      throw new Failure(`${name}:${index + 1}: not a line of a kernel config: ${line}`);
    }
  }
  return settings;
}

/**
 * @param {Settings} settings
 * @returns {string} a fragment in one order, whatever order and comments it was given with
 */
export function printConfig(settings) {
  const lines = [...settings].map(([name, value]) =>
    value === 'n' ? `# CONFIG_${name} is not set` : `CONFIG_${name}=${value}`,
  );
  return `${lines.sort().join('\n')}\n`;
}

/**
 * What was asked for and is not so. Kconfig drops a setting without a word when its dependencies are off or when the
 * kernel has no such symbol.
 * @param {Settings} wanted
 * @param {Settings} actual
 * @returns {string[]} as "KVM_SW_PROTECTED_VM=y (is n)"
 */
export function unheld(wanted, actual) {
  return [...wanted]
    .filter(([name, value]) => (actual.get(name) ?? 'n') !== value)
    .map(([name, value]) => `${name}=${value} (is ${actual.get(name) ?? 'n'})`);
}

/**
 * @typedef {object} LabConfig
 * @property {Settings} boot    what the lab itself cannot do without
 * @property {Settings} given   the user's fragment
 * @property {Settings} merged  everything, the user's last
 * @property {string} digest
 */

/**
 * @param {string} [fragment] file
 * @returns {LabConfig}
 */
export function readLabConfig(fragment) {
  const own = (/** @type {string} */ name) =>
    parseConfig(readFileSync(fileURLToPath(new URL(`../${name}`, import.meta.url)), 'utf8'), name);
  const boot = own('boot.config');
  /** @type {Settings} */
  let given = new Map();
  if (fragment !== undefined) {
    try {
      given = parseConfig(readFileSync(fragment, 'utf8'), fragment);
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw new Failure(`cannot read the config fragment: ${/** @type {Error} */ (error).message}`);
    }
  }
  const merged = new Map([...own('test.config'), ...boot, ...given]);
  return { boot, given, merged, digest: createHash('sha256').update(printConfig(merged)).digest('hex') };
}

/**
 * Fails when what must hold does not, and returns what else does not.
 * @param {LabConfig} config
 * @param {Settings} actual
 * @returns {string[]}
 */
export function checkHeld(config, actual) {
  const needed = unheld(config.boot, actual);
  if (needed.length > 0) throw new Failure(`the lab cannot boot a kernel without ${needed.join(', ')}`);
  const asked = unheld(config.given, actual);
  if (asked.length > 0) {
    throw new Failure(
      `--config asks for what this kernel's Kconfig does not grant: ${asked.join(', ')}; add what these depend on`,
    );
  }
  return unheld(config.merged, actual);
}
