/** All commands. A new family is one more file here, and one more line. */

import type { Command } from '../command.ts';
import { contentCommands } from './contents.ts';
import { convertCommands } from './convert.ts';
import { fileCommands } from './files.ts';
import { guestCommands } from './guest.ts';
import { mappingCommands } from './mappings.ts';
import { pinCommands } from './pins.ts';
import { rawCommands } from './raw.ts';
import { slotCommands } from './slots.ts';

export const commands: readonly Command[] = [
  ...fileCommands,
  ...contentCommands,
  ...mappingCommands,
  ...slotCommands,
  ...convertCommands,
  ...guestCommands,
  ...pinCommands,
  ...rawCommands,
];
