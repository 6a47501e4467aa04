/** `gmem doctor`: what this machine can do, and how to get what it lacks. */

import { examine, findingsText, type System } from './doctor/index.ts';
import { thisMachine } from './doctor/system.ts';
import type { Command } from './io.ts';
import { optionsHelp, parseOptions } from './options.ts';

const options = {
  json: { help: 'print one JSON document' },
  help: { short: 'h', help: 'print this' },
} as const;

const help = `gmem doctor: what this machine can do, and how to get what it lacks

usage: gmem doctor [OPTION...]

${optionsHelp(options)}

Looks only: nothing is changed, and what is opened is closed again.

exit code: 0 also where things are missing, since the mock needs none of them; 2 wrong usage
JSON: { findings: [{ section, name, status, value, fix? }] }; status is "ok", "missing" or "info"`;

export function doctorFor(system: System): Command {
  return {
    summary: 'what this machine can do: kernel, KVM, backends, huge pages, devices; and how to get what is missing',
    help,
    async run(argv, io) {
      const { json } = parseOptions(argv, options);
      const sections = await examine(system);
      const findings = sections.flatMap(({ title, findings }) =>
        findings.map(({ name, ...finding }) => ({ section: title, name: name.trim(), ...finding })),
      );
      io.out(json ? `${JSON.stringify({ findings }, undefined, 2)}\n` : `${findingsText(sections)}\n`);
      return 0;
    },
  };
}

export const doctor = doctorFor(thisMachine);
