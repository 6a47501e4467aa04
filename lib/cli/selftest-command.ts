/** Test cases on every backend that can run here, as KTAP or as JSON lines: `gmem selftest`, and scripts of one's own. */

import { dialectNames } from '../host/index.ts';
import { type Host, openHost } from '../kvm/index.ts';
import { platformNames, profileNames } from '../mock/index.ts';
import {
  type AnyCase,
  backendNames,
  DEFAULT_TIMEOUT,
  type Filter,
  type GroupSpec,
  hostOptions,
  JsonReporter,
  KtapReporter,
  planGroups,
  runSuite,
  select,
  unmatched,
} from '../selftest/index.ts';
import type { Command, ExitCode, Io } from './io.ts';
import { type Given, optionsHelp, parseOptions, UsageError } from './options.ts';
import { listCases } from './selftest-list.ts';

const options = {
  list: { short: 'l', help: 'print the cases, what they need and what they test' },
  test: { short: 't', value: 'PATTERN', many: true, help: 'run only cases with such a name (* and ? as in a shell)' },
  'not-test': { short: 'T', value: 'PATTERN', many: true, help: 'leave out cases with such a name' },
  variant: { short: 'v', value: 'PATTERN', many: true, help: 'run only such variants of cases' },
  'not-variant': { short: 'V', value: 'PATTERN', many: true, help: 'leave out such variants' },
  backend: {
    value: 'NAME',
    words: backendNames,
    many: true,
    help: 'run on this backend; that it cannot run is an error',
  },
  kernel: { value: 'NAME', words: profileNames, many: true, help: 'the kernel the mock is' },
  platform: { value: 'NAME', words: platformNames, many: true, help: 'the hardware the mock is on' },
  dialect: { value: 'NAME', words: dialectNames, help: 'take this conversion ABI instead of probing for one' },
  journal: { help: 'print the steps inside the calls of each case; of a real kernel as root, by tracing it' },
  json: { help: 'print JSON lines, one object for each group and case, in place of KTAP' },
  timeout: { value: 'SECONDS', help: `how long a case may take (default ${DEFAULT_TIMEOUT / 1000})` },
  bail: { help: 'stop at the first failure; the rest is reported as skipped' },
  help: { short: 'h', help: 'print this' },
} as const;

const helpFor = (program: string) => `${program}: runs the test cases and prints KTAP

usage: ${program} [OPTION...]

${optionsHelp(options)}

Without --backend, --kernel and --platform the cases run on every backend that works here: the real kernel through
both of its backends, and the mock as every kernel it knows. A backend that does not work is one skipped group.
--kernel and --platform imply --backend mock.

exit code: 0 all passed, 1 something failed, 2 wrong usage, 4 nothing could run
environment: KSFT_TAP_LEVEL leaves out the version line (kselftest's runner sets it); GMEM_DIALECT is as --dialect`;

/** The command that runs these cases, under the name it is called by. */
export function selftestCommand(cases: readonly AnyCase[], program: string): Command {
  return {
    summary: 'run the test cases on the real kernel and on mocked ones; KTAP on stdout',
    help: helpFor(program),
    async run(argv, io): Promise<ExitCode> {
      const given = parseOptions(argv, options);
      const filter = filterFrom(given, cases, program);
      const timeout = timeoutFrom(given.timeout);
      const specs = planGroups(wishesFrom(given));
      const entries = select(cases, filter);
      if (entries.length === 0) throw new UsageError('no case is left to run by these patterns');
      if (given.list) return listCases(entries, io, given.json ?? false);
      const write = (line: string): void => io.out(line);
      const reporter = given.json
        ? new JsonReporter(write, program)
        : new KtapReporter(write, !io.env['KSFT_TAP_LEVEL'], program);
      return runSuite(specs, entries, reporter, {
        open: (spec) => openFor(spec, io, program),
        timeout,
        signal: io.signal,
        bail: given.bail ?? false,
        journal: given.journal ?? false,
      });
    },
  };
}

/** A backend that was asked for and cannot work is worth a word where people look. */
async function openFor(spec: GroupSpec, io: Io, program: string): Promise<Host> {
  try {
    return await openHost(hostOptions(spec));
  } catch (error) {
    if (spec.required) io.error(`${program}: ${(error as Error).message}\n`);
    throw error;
  }
}

function filterFrom(given: Given<typeof options>, cases: readonly AnyCase[], program: string): Filter {
  const filter: Filter = {
    ...(given.test && { names: given.test }),
    ...(given['not-test'] && { notNames: given['not-test'] }),
    ...(given.variant && { variants: given.variant }),
    ...(given['not-variant'] && { notVariants: given['not-variant'] }),
  };
  const [misspelt] = unmatched(cases, filter);
  if (misspelt !== undefined)
    throw new UsageError(`no case or variant matches '${misspelt}'; ${program} -l lists them`);
  return filter;
}

function wishesFrom({ backend, kernel, platform, dialect }: Given<typeof options>): Parameters<typeof planGroups>[0] {
  if (backend && !backend.includes('mock') && (kernel || platform)) {
    throw new UsageError(
      `--${kernel ? 'kernel' : 'platform'} is for the mock, and --backend ${backend.join(', ')} is not`,
    );
  }
  return {
    ...(backend && { backends: unique(backend) }),
    ...(kernel && { kernels: unique(kernel) }),
    ...(platform && { platforms: unique(platform) }),
    ...(dialect && { dialect }),
  };
}

const unique = <V>(values: readonly V[]): V[] => [...new Set(values)];

function timeoutFrom(text: string | undefined): number {
  if (text === undefined) return DEFAULT_TIMEOUT;
  const seconds = Number(text);
  if (!(seconds > 0) || seconds > 86_400) throw new UsageError(`--timeout takes seconds, up to a day; got '${text}'`);
  return seconds * 1000;
}
