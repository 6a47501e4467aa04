// @ts-check
import { openCache } from '../host/cache.mjs';
import { build as buildKernel } from '../kernel/build.mjs';
import { callerFolder } from './machine-options.mjs';

/** @type {import('./command.mjs').Command} */
export const build = {
  usage: '[OPTION...]',
  summary: 'build a kernel and keep it; does nothing when it is there',
  options: {
    source: {
      value: 'DIR',
      help: 'a kernel tree; stays as it is',
      default: "the newest linux-source of Debian's backports",
    },
    patches: {
      value: 'DIR|NAME',
      help: 'patches to apply, in the order of its series file or of their names; NAME is one of scripts/lab/patches',
    },
    config: { value: 'FRAGMENT', help: "config lines over the lab's own" },
    name: { value: 'NAME', help: 'what lab run calls it', default: "'default', or the name of what was given" },
    jobs: { value: 'N', number: true, help: 'compile so many files at once', default: 'one a processor' },
    update: { help: 'look for a newer linux-source first' },
  },
  async start(given) {
    const { source, patches, config, name } = given.text;
    const { jobs } = given.number;
    const { record, name: called } = await buildKernel(openCache(), {
      ...(source === undefined ? {} : { source }),
      ...(patches === undefined ? {} : { patches }),
      ...(config === undefined ? {} : { config }),
      ...(name === undefined ? {} : { name }),
      ...(jobs === undefined ? {} : { jobs }),
      update: given.on['update'] ?? false,
      from: callerFolder(),
    });
    process.stdout.write(`${called}: Linux ${record.release}, ${record.id}\n`);
    return 0;
  },
};
