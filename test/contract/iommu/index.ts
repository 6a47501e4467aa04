import { domains } from './domains.ts';
import { ioas } from './ioas.ts';
import { sizes } from './sizes.ts';
import { type1 } from './type1.ts';

export const scenarios = [...sizes, ...ioas, ...domains, ...type1];
