import { domains } from './domains.ts';
import { ioas } from './ioas.ts';
import { sizes } from './sizes.ts';

export const scenarios = [...sizes, ...ioas, ...domains];
