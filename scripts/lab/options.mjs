// @ts-check
import { parseArgs } from 'node:util';
import { Failure, status } from './host/failure.mjs';

/**
 * @typedef {object} Option
 * @property {string} help
 * @property {string} [value]  what stands for its value in the help; a switch has none
 * @property {string} [default] what the help says is taken when it is not given
 * @property {readonly string[]} [words] the only values there are
 * @property {boolean} [number] a whole number from 1 on
 * @property {boolean} [many]   may be given several times
 */

/** @typedef {Record<string, Option>} Options */

/**
 * @typedef {object} Given
 * @property {Record<string, string | undefined>} text
 * @property {Record<string, number | undefined>} number
 * @property {Record<string, string[]>} many
 * @property {Record<string, boolean>} on
 * @property {string[]} rest
 */

/**
 * @param {string[]} argv
 * @param {Options} options
 * @returns {Given}
 */
export function parseOptions(argv, options) {
  /** @type {Given} */
  const given = { text: {}, number: {}, many: {}, on: {}, rest: [] };
  const { values, positionals } = parse(argv, options);
  given.rest = positionals;
  for (const [name, option] of Object.entries(options)) {
    const value = values[name];
    if (option.value === undefined) given.on[name] = value === true;
    else if (option.many)
      given.many[name] = (Array.isArray(value) ? value : []).map((item) => check(name, option, String(item)));
    else if (value === undefined) continue;
    else if (option.number) given.number[name] = Number(check(name, option, String(value)));
    else given.text[name] = check(name, option, String(value));
  }
  return given;
}

/**
 * @param {string[]} argv
 * @param {Options} options
 */
function parse(argv, options) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: Object.fromEntries(
        Object.entries(options).map(([name, { value, many }]) => [
          name,
          { type: value === undefined ? 'boolean' : 'string', multiple: many ?? false },
        ]),
      ),
    });
  } catch (error) {
    // Node's sentence about "--" is about how to pass such a positional, which is not what is meant here.
    const said = /** @type {Error} */ (error).message.split('. To specify a positional')[0];
    throw new Failure(`${said}; options of the command that is to run come after --`, status.usage);
  }
}

/**
 * @param {string} name
 * @param {Option} option
 * @param {string} value
 */
function check(name, option, value) {
  if (option.words !== undefined && !option.words.includes(value)) {
    throw new Failure(`--${name} is one of ${option.words.join(', ')}, not '${value}'`, status.usage);
  }
  if (option.number && !(/^\d+$/.test(value) && Number.isSafeInteger(Number(value)) && Number(value) > 0)) {
    throw new Failure(`--${name} takes a whole number from 1 on, not '${value}'`, status.usage);
  }
  return value;
}

/** @param {Options} options */
export function describeOptions(options) {
  const rows = Object.entries(options).map(([name, { value, words, help, many, default: standard }]) => {
    const what = value === undefined ? '' : ` ${words === undefined ? value : words.join('|')}`;
    const notes = [many ? 'may be repeated' : '', standard === undefined ? '' : `default: ${standard}`].filter(Boolean);
    return [`  --${name}${what}`, `${help}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}`];
  });
  return rows
    .map(([left = '', right]) =>
      left.length < 22 ? `${left.padEnd(23)}${right}` : `${left}\n${' '.repeat(23)}${right}`,
    )
    .join('\n');
}
