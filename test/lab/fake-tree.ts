/** A kernel tree that is built in a moment: the same make targets, "compiling" being to copy a file that is newer. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MAKEFILE = `VERSION = 9
PATCHLEVEL = 1
config = $(O)/.config
objects = $(patsubst %.c,$(O)/%.o,$(wildcard *.c))

tinyconfig:
	@echo '# CONFIG_TINY is not set' >$(config)

# Grants everything but what it does not know.
olddefconfig:
	@sed -i '/CONFIG_UNKNOWN/d' $(config)

$(O)/%.o: %.c
	@echo '  CC      $*.o'
	@if grep -q broken $<; then echo '$<:1:1: error: broken' >&2; exit 1; fi
	@cp $< $@

bzImage: $(objects)
	@mkdir -p $(O)/arch/x86/boot $(O)/include/config
	@echo '9.1.0-lab$(LOCALVERSION)' >$(O)/include/config/kernel.release
	@cat $(objects) >$(O)/arch/x86/boot/bzImage

.PHONY: tinyconfig olddefconfig bzImage
`;

export function writeFakeTree(folder: string): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'Makefile'), MAKEFILE);
  writeFileSync(join(folder, 'Kconfig'), '');
  for (const name of ['one', 'two', 'three']) writeFileSync(join(folder, `${name}.c`), `${name}\n`);
  return folder;
}

/** A patch that turns the one line of a file into another. */
export function patchText(name: string, from: string, to: string): string {
  return `Subject: ${to}\n\n--- a/${name}\n+++ b/${name}\n@@ -1 +1 @@\n-${from}\n+${to}\n`;
}
