#!/usr/bin/env node
/** The command. */

import { main } from './main.ts';
import { inThisProcess } from './process.ts';

await inThisProcess('gmem', main);
