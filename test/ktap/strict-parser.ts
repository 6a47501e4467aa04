/** A reader of KTAP that forgives nothing: every rule the writer promises, and no line it does not know. */

export interface ParsedTest {
  readonly name: string;
  readonly ok: boolean;
  readonly directive: string | undefined;
  readonly reason: string;
  readonly diagnostics: readonly string[];
  readonly tests: readonly ParsedTest[] | undefined;
}

export interface ParsedLevel {
  readonly tests: readonly ParsedTest[];
  readonly skipped: string | undefined;
  readonly totals: Readonly<Record<string, number>> | undefined;
}

const RESULT = /^(ok|not ok) (\d+) ([^#]*?)(?: # (?:(SKIP|XFAIL|TIMEOUT|ERROR)(?: |$))?([^#]*))?$/;
const PLAN = /^1\.\.(\d+)(?: # SKIP ?(.*))?$/;
const TOTALS = /^# Totals: pass:(\d+) fail:(\d+) xfail:(\d+) xpass:(\d+) skip:(\d+) error:(\d+)$/;

/** @throws Error naming the line that breaks a rule. */
export function parseKtap(text: string, { header = true } = {}): ParsedLevel {
  if (!text.endsWith('\n')) throw new Error('the last line has no line break');
  const lines = text.slice(0, -1).split('\n');
  const [level, next] = parseLevel(lines, 0, 0, header);
  if (next !== lines.length) fail(lines, next, 'nothing may follow the totals');
  return level;
}

function parseLevel(lines: string[], start: number, depth: number, header: boolean): [ParsedLevel, number] {
  const indent = '  '.repeat(depth);
  let at = start;
  const take = (): string => {
    const line = lines[at];
    if (line === undefined) fail(lines, at, 'the output ends too early');
    if (!line.startsWith(indent)) fail(lines, at, `expected an indentation of ${indent.length}`);
    at += 1;
    return line.slice(indent.length);
  };
  if (header && take() !== 'KTAP version 1') fail(lines, at - 1, 'expected the version line');
  const plan = PLAN.exec(take()) ?? fail(lines, at - 1, 'expected the plan');
  if (plan[2] !== undefined) {
    if (plan[1] !== '0') fail(lines, at - 1, 'a plan of tests cannot be skipped');
    return [{ tests: [], skipped: plan[2], totals: undefined }, at];
  }
  const tests: ParsedTest[] = [];
  let diagnostics: string[] = [];
  let children: ParsedLevel | undefined;
  for (;;) {
    if (lines[at] === `${indent}  KTAP version 1`) {
      if (children) fail(lines, at, 'two nested groups before one result');
      [children, at] = parseLevel(lines, at, depth + 1, true);
      continue;
    }
    const line = take();
    const totals = TOTALS.exec(line);
    if (totals && tests.length === Number(plan[1])) return [{ tests, skipped: undefined, totals: named(totals) }, at];
    if (line.startsWith('#')) {
      diagnostics.push(line);
      continue;
    }
    const result = RESULT.exec(line) ?? fail(lines, at - 1, 'neither a result nor a diagnostic');
    const test = parsed(result, diagnostics, children);
    if (Number(result[2]) !== tests.length + 1) fail(lines, at - 1, `expected number ${tests.length + 1}`);
    if (children) checkParent(lines, at - 1, test);
    tests.push(test);
    diagnostics = [];
    children = undefined;
  }
}

function parsed(result: RegExpExecArray, diagnostics: string[], children: ParsedLevel | undefined): ParsedTest {
  const [, verdict, , name = '', directive, reason = ''] = result;
  return { name, ok: verdict === 'ok', directive, reason, diagnostics, tests: children?.tests };
}

function checkParent(lines: string[], at: number, test: ParsedTest): void {
  const failed = test.tests?.some((child) => !child.ok) ?? false;
  if (test.ok === failed) fail(lines, at, 'a group fails exactly when one of its tests does');
}

function named(match: RegExpExecArray): Record<string, number> {
  const [pass, fail, xfail, xpass, skip, error] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return { pass, fail, xfail, xpass, skip, error };
}

function fail(lines: string[], at: number, why: string): never {
  throw new Error(`line ${at + 1}: ${why}: ${JSON.stringify(lines[at])}`);
}
