export { exitCode, type Totals } from './totals.ts';
export { type KtapOptions, KtapWriter, type Outcome } from './writer.ts';
