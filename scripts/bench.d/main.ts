/** scripts/bench. Figures are never a test: the exit code tells of targets only when --check asks for it. */

import { measureKernel } from './kernel.ts';
import { describeMachine } from './machine.ts';
import { measureMock } from './mock.ts';
import { type Options, readOptions, usage } from './options.ts';
import { allMet, type Report } from './report.ts';
import { toJson } from './report-json.ts';
import { toText } from './report-text.ts';
import { mockTarget, targets } from './targets.ts';

async function measure({ operations, mock, pace }: Options): Promise<Report> {
  return {
    machine: describeMachine(),
    targets: { kernel: targets, mock: mockTarget },
    results: operations.length > 0 ? await measureKernel(operations, pace.kernel) : [],
    mock: mock ? await measureMock(pace.mock) : [],
  };
}

async function run(options: Options): Promise<number> {
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  const report = await measure(options);
  process.stdout.write(options.json ? toJson(report) : toText(report));
  return options.check && !allMet(report) ? 1 : 0;
}

function optionsOrExit(): Options {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}

process.exitCode = await run(optionsOrExit());
