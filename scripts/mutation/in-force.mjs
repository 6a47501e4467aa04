/** Loaded before any test: which change is in force. */

const active = Number(process.env.GMEM_MUTANT);
globalThis.__mutant = (number) => number === active;
