// @ts-check
/**
 * What a kernel prints when something in it is wrong. A line is looked at without its time stamp. That a process got a
 * fault of its own ("traps: node[12] general protection fault ip:...") is not the kernel's.
 * @type {readonly { pattern: RegExp, what: string, warning?: true }[]}
 */
const PROBLEMS = [
  { pattern: /^Kernel panic - not syncing: (.*)/, what: 'panic' },
  { pattern: /^(?:BUG|watchdog: BUG|kernel BUG)\b[: ]\s*(.*)/, what: 'BUG' },
  { pattern: /^\[ BUG: (.*) \]$/, what: 'BUG' },
  { pattern: /^(?:Oops|Oops - [^:]*): (.*)/, what: 'oops' },
  { pattern: /^WARNING: (.*)/, what: 'warning', warning: true },
  { pattern: /^UBSAN: (.*)/, what: 'UBSAN', warning: true },
  {
    pattern: /^(?:rcu: )?INFO: (.*(?:self-detected stall|detected stalls|detected expedited stalls).*)/,
    what: 'stall',
  },
  { pattern: /^INFO: (trying to register non-static key)/, what: 'lockdep' },
  { pattern: /^INFO: (task .* blocked for more than .*)/, what: 'hung task' },
];

/**
 * @param {string} line
 * @returns {{ text: string, warning: boolean } | undefined}
 */
export function problemIn(line) {
  const message = line.replace(/^(?:\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?)?/, '');
  for (const { pattern, what, warning } of PROBLEMS) {
    const match = pattern.exec(message);
    if (match !== null) return { text: `${what}: ${match[1]}`, warning: warning ?? false };
  }
  return undefined;
}

/** The console of one boot, line by line. */
export class KernelLog {
  /** @param {(line: string) => void} [each] */
  constructor(each = () => {}) {
    this.each = each;
    /** @type {string[]} */
    this.lines = [];
    /** @type {{ text: string, warning: boolean, line: number }[]} */
    this.problems = [];
    /** Where the command started. */
    this.started = /** @type {number | undefined} */ (undefined);
    /** The last thing init complained about. */
    this.complaint = /** @type {string | undefined} */ (undefined);
    this.outOfMemory = false;
    this.rest = '';
  }

  /** @param {Buffer} chunk */
  push(chunk) {
    const lines = (this.rest + chunk.toString('latin1')).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.#take(line.replaceAll('\r', ''));
  }

  finish() {
    if (this.rest !== '') this.#take(this.rest);
    this.rest = '';
  }

  /** @param {string} line */
  #take(line) {
    this.lines.push(line);
    this.each(line);
    const own = /(?:^|\] )lab: (.*)/.exec(line)?.[1];
    if (own === 'the command starts') this.started = this.lines.length;
    else if (own !== undefined && !own.startsWith('the command ended')) this.complaint = own;
    if (/\bOut of memory: Killed process\b/.test(line)) this.outOfMemory = true;
    const problem = problemIn(line);
    if (problem !== undefined) this.problems.push({ ...problem, line: this.lines.length - 1 });
  }

  get panicked() {
    return this.problems.some(({ text }) => text.startsWith('panic: '));
  }

  /** @returns {string[]} the log without the boot, unless something in the boot matters */
  relevant() {
    const from = this.started ?? 0;
    return this.problems.some(({ line }) => line < from) ? this.lines : this.lines.slice(from);
  }
}
