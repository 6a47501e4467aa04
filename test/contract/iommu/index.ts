import { domains } from './domains.ts';
import { ioas } from './ioas.ts';
import { pageTables } from './page-tables.ts';
import { sizes } from './sizes.ts';
import { type1 } from './type1.ts';

export const scenarios = [...sizes, ...ioas, ...domains, ...pageTables, ...type1];
