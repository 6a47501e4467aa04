/** The counters of kselftest's closing line, `# Totals: ...` (tools/testing/selftests/kselftest.h, ksft_print_cnts). */

export interface Totals {
  readonly pass: number;
  readonly fail: number;
  readonly xfail: number;
  readonly xpass: number;
  readonly skip: number;
  readonly error: number;
}

export const noTotals: Totals = { pass: 0, fail: 0, xfail: 0, xpass: 0, skip: 0, error: 0 };

export function addTotals(a: Totals, b: Totals): Totals {
  return {
    pass: a.pass + b.pass,
    fail: a.fail + b.fail,
    xfail: a.xfail + b.xfail,
    xpass: a.xpass + b.xpass,
    skip: a.skip + b.skip,
    error: a.error + b.error,
  };
}

export function totalsText(totals: Totals): string {
  const { pass, fail, xfail, xpass, skip, error } = totals;
  return `Totals: pass:${pass} fail:${fail} xfail:${xfail} xpass:${xpass} skip:${skip} error:${error}`;
}

/** KSFT_PASS, KSFT_FAIL and KSFT_SKIP. An unexpected pass is a failure, as in ksft_finished(). */
export function exitCode(totals: Totals): 0 | 1 | 4 {
  if (totals.fail + totals.xpass + totals.error > 0) return 1;
  return totals.pass + totals.xfail > 0 ? 0 : 4;
}
