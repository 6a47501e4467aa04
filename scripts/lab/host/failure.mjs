// @ts-check
/**
 * Exit statuses of the lab itself. A command's own status is passed on; these follow timeout(1) where it has a word for
 * it, and KTAP's runners for a skip.
 */
export const status = Object.freeze({ failed: 1, usage: 2, skipped: 4, timedOut: 124, kernelFailed: 125 });

/** Something a user can do something about: printed as it is, without a stack. */
export class Failure extends Error {
  /**
   * @param {string} message what happened and what to do
   * @param {number} [exitStatus]
   */
  constructor(message, exitStatus = status.failed) {
    super(message);
    this.name = 'Failure';
    this.exitStatus = exitStatus;
  }
}

/** This machine cannot be a lab, and nothing that the lab may do by itself changes that. */
export class Unavailable extends Failure {}

/** @param {string} line goes to stderr: stdout belongs to the command that runs in the lab */
export function say(line) {
  process.stderr.write(`lab: ${line}\n`);
}
