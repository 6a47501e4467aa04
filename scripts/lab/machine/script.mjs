// @ts-check
/**
 * What the guest's init is told to do.
 * @typedef {object} Orders
 * @property {string[]} command
 * @property {string} cwd
 * @property {Record<string, string>} env
 * @property {string[]} keep   folders that stay writable on the host
 * @property {string[]} vfio   PCI ids, as 1234:11e8
 * @property {boolean} terminal
 * @property {boolean} input
 * @property {string} token    ends what the command printed
 * @property {{ rows: number, columns: number } | undefined} size of the terminal
 */

export const ROOT_TAG = 'lab.root';

/** @param {number} index */
export const keepTag = (index) => `lab.keep${index}`;

/**
 * One word of a shell's command line.
 * @param {string} text
 */
export function quote(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {Pick<Orders, 'command' | 'cwd' | 'env'>} orders */
function commandScript({ command, cwd, env }) {
  const exports = Object.entries(env).map(([name, value]) => `export ${name}=${quote(value)}`);
  return [`cd ${quote(cwd)} || exit 126`, ...exports, `exec ${command.map(quote).join(' ')}`].join('\n');
}

/**
 * What init reads from its control port: a number of lines, and as many lines of a script. See there for the variables.
 * @param {Orders} orders
 */
export function guestScript(orders) {
  const variables = {
    share: ROOT_TAG,
    keep: orders.keep.map((folder, index) => `${keepTag(index)} ${folder}`).join('\n'),
    vfio: orders.vfio.join(' '),
    terminal: orders.terminal ? '1' : '',
    input: orders.input ? '1' : '',
    token: orders.token,
    rows: orders.size === undefined ? '' : String(orders.size.rows),
    columns: orders.size === undefined ? '' : String(orders.size.columns),
    command: commandScript(orders),
  };
  const script = Object.entries(variables)
    .map(([name, value]) => `${name}=${value === '' ? '' : quote(value)}\n`)
    .join('');
  return `${script.split('\n').length - 1}\n${script}`;
}

const PASSED = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TERM', 'CI', 'NO_COLOR', 'FORCE_COLOR'];

/**
 * The environment of the command: a few variables as they are here, and those asked for as NAME or NAME=VALUE.
 * @param {NodeJS.ProcessEnv} env
 * @param {readonly string[]} asked
 * @returns {Record<string, string>}
 */
export function guestEnvironment(env, asked) {
  /** @type {Record<string, string>} */
  const passed = {};
  for (const item of [...PASSED, ...asked]) {
    const [name = '', ...rest] = item.split('=');
    const value = item.includes('=') ? rest.join('=') : env[name];
    if (value !== undefined && /^[A-Za-z_]\w*$/.test(name)) passed[name] = value;
  }
  return passed;
}
