// @ts-check
import { status } from '../host/failure.mjs';

/**
 * What a run comes to: the status to exit with, and why when it is not the command's own.
 * @typedef {object} Verdict
 * @property {number} status
 * @property {string} [why]
 * @property {boolean} showLog
 */

/**
 * @param {import('./session.mjs').Outcome} outcome
 * @param {{ timeout: number, allowWarnings: boolean }} options
 * @returns {Verdict}
 */
export function judge(outcome, { timeout, allowWarnings }) {
  const { log } = outcome;
  const problems = log.problems.filter(({ warning }) => !(warning && allowWarnings));
  const first = problems[0];
  if (outcome.timedOut) {
    const what =
      outcome.stage === 'booting'
        ? 'the kernel did not come to start the command'
        : `the command did not end in ${timeout} s`;
    const more = log.lines.length === 0 ? 'it printed nothing at all' : 'the log shows what every task was doing';
    return { status: status.timedOut, why: `${what}; ${more}`, showLog: true };
  }
  if (first !== undefined)
    return { status: status.kernelFailed, why: `the kernel failed: ${first.text}`, showLog: true };
  if (outcome.status === undefined) return { status: status.kernelFailed, why: whyNoStatus(outcome), showLog: true };
  // Not a failure of the kernel, but what a bare status of 137 means is good to know.
  if (log.outOfMemory && outcome.status !== 0) {
    return { status: outcome.status, why: 'the guest ran out of memory; give it more with --mem', showLog: true };
  }
  return { status: outcome.status, showLog: log.problems.length > 0 };
}

/** @param {import('./session.mjs').Outcome} outcome */
function whyNoStatus({ log, complaints, stage }) {
  if (log.complaint !== undefined && stage === 'booting') {
    return `this kernel cannot be booted by the lab: ${log.complaint} (scripts/lab/boot.config lists what it needs)`;
  }
  if (complaints.length > 0) return `QEMU ended: ${complaints.slice(0, 5).join('; ')}`;
  if (log.lines.length === 0) {
    return 'QEMU ended and the kernel printed nothing: is it an x86-64 bzImage with CONFIG_SERIAL_8250_CONSOLE?';
  }
  return 'QEMU ended before the command did (the guest was switched off or reset)';
}
