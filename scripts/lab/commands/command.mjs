// @ts-check
/**
 * A subcommand.
 * @typedef {object} Command
 * @property {string} usage
 * @property {string} summary
 * @property {import('../options.mjs').Options} options
 * @property {string} [notes] more for its help
 * @property {(given: import('../options.mjs').Given) => Promise<number>} start returns the status to exit with
 */
export {};
