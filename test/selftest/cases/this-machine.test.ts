import { onThisMachine } from '../every-case.ts';

onThisMachine();
