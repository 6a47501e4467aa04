import { onThisMachine } from '../every-case.ts';

await onThisMachine();
