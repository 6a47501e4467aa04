// @ts-check
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { startTied } from '../host/processes.mjs';
import { KernelLog } from './kernel-log.mjs';
import { PORTS, qemuArguments } from './qemu.mjs';
import { guestScript } from './script.mjs';
import { Trailer } from './trailer.mjs';

/** @typedef {import('node:net').Socket} Socket */

/** How long a kernel may take to start its command; under TCG on a busy machine it takes some 10 s. */
const BOOT_LIMIT = 180_000;
/** setTimeout takes no more, in seconds: 24 days. */
const LONGEST = 2 ** 31 / 1000;
/** How long a panic may take to print every task's stack, and a finished guest to switch itself off. */
const DYING_LIMIT = 20_000;

/**
 * @typedef {object} Session
 * @property {import('./qemu.mjs').Machine} machine
 * @property {Omit<import('./script.mjs').Orders, 'token'>} orders
 * @property {string} initramfs
 * @property {number} timeout   seconds, for all of it; Infinity for none
 * @property {string} [qemu]    program to run in place of qemu-system-x86_64
 */

/**
 * Where a session's streams go.
 * @typedef {object} Sinks
 * @property {NodeJS.WritableStream} out
 * @property {NodeJS.WritableStream} err
 * @property {(line: string) => void} [log] each line of the kernel's log as it comes
 * @property {NodeJS.ReadableStream} [input]
 */

/**
 * How a session ended.
 * @typedef {object} Outcome
 * @property {number | undefined} status  the command's, when it ended
 * @property {'started' | 'booting'} stage how far it came
 * @property {boolean} timedOut
 * @property {KernelLog} log
 * @property {string[]} complaints         what QEMU itself said
 */

/**
 * @typedef {object} Running
 * @property {Promise<Outcome>} outcome
 * @property {(size: { rows: number, columns: number }) => void} resize
 * @property {() => void} kill
 */

/**
 * Boots a kernel and runs a command in it. Everything goes over sockets that QEMU inherits: no file is made for a run,
 * so none can be left behind, and any number of them run at once.
 * @param {Session} session
 * @param {Sinks} sinks
 * @returns {Running}
 */
export function startSession(session, sinks) {
  const token = randomBytes(16).toString('hex');
  const program = session.qemu ?? 'qemu-system-x86_64';
  const { child, ended, kill } = startTied([program, ...qemuArguments(session.machine, session.initramfs)], {
    stdio: ['ignore', 'ignore', 'pipe', ...Object.values(PORTS).map(() => /** @type {const} */ ('pipe'))],
  });
  const port = (/** @type {keyof typeof PORTS} */ name) => {
    const socket = /** @type {Socket[]} */ (/** @type {unknown} */ (child.stdio))[PORTS[name]] ?? missing(name);
    // QEMU ends at any time; that its sockets break then is no news.
    socket.on('error', () => {});
    return socket;
  };
  const ports = {
    log: port('log'),
    monitor: port('monitor'),
    control: port('control'),
    out: port('out'),
    err: port('err'),
  };
  const state = { status: /** @type {number | undefined} */ (undefined), started: false, timedOut: false };

  const log = new KernelLog(sinks.log);
  const trailers = [forward(ports.out, sinks.out, token), forward(ports.err, sinks.err, token)];
  const finishing = () => {
    // Only now is everything here that the command printed.
    if (state.status === undefined || !trailers.every((trailer) => trailer.ended)) return;
    ports.control.write('bye\n');
    killIn(DYING_LIMIT);
  };
  /** @type {NodeJS.Timeout[]} */
  const timers = [];
  const killIn = (/** @type {number} */ time) => timers.push(setTimeout(kill, time));
  const expire = () => {
    if (state.status !== undefined) return;
    state.timedOut = true;
    ports.monitor.write('nmi\n');
    killIn(DYING_LIMIT);
  };
  if (session.timeout < LONGEST) timers.push(setTimeout(expire, session.timeout * 1000));
  timers.push(setTimeout(() => state.started || expire(), BOOT_LIMIT));

  ports.monitor.resume();
  ports.log.on('data', (chunk) => {
    const before = log.panicked;
    log.push(chunk);
    if (log.panicked && !before) killIn(DYING_LIMIT);
  });
  ports.out.on('data', finishing);
  ports.err.on('data', finishing);
  ports.control.write(guestScript({ ...session.orders, token }));
  const replies = createInterface({ input: ports.control });
  // readline passes on its input's errors as its own.
  replies.on('error', () => {});
  replies.on('line', (line) => {
    if (line === 'started') state.started = true;
    if (line.startsWith('status ')) state.status = Number(line.slice('status '.length));
    finishing();
  });
  // A terminal is one device for both ways.
  const input = session.orders.terminal ? ports.out : port('in');
  sinks.input?.pipe(input);
  let complaints = '';
  child.stderr?.on('data', (chunk) => {
    complaints += chunk;
  });

  const closed = [...Object.values(ports), child.stderr].map(
    (stream) => new Promise((resolve) => (stream === null ? resolve(undefined) : stream.once('close', resolve))),
  );
  const outcome = (async () => {
    await ended;
    for (const timer of timers) clearTimeout(timer);
    sinks.input?.unpipe(input);
    port('in').destroy();
    await Promise.all(closed);
    log.finish();
    for (const trailer of trailers) trailer.finish();
    return {
      status: state.status,
      stage: state.started ? /** @type {const} */ ('started') : /** @type {const} */ ('booting'),
      timedOut: state.timedOut,
      log,
      complaints: complaints.split('\n').filter((line) => line !== '' && !line.includes('has no peer')),
    };
  })();
  return {
    outcome,
    kill,
    resize: ({ rows, columns }) => ports.control.write(`size ${rows} ${columns}\n`),
  };
}

/**
 * Passes on what comes from a port up to the token, no faster than it is taken.
 * @param {Socket} from
 * @param {NodeJS.WritableStream} to
 * @param {string} token
 */
function forward(from, to, token) {
  const trailer = new Trailer(token, (chunk) => {
    if (to.write(chunk)) return;
    from.pause();
    to.once('drain', () => from.resume());
  });
  from.on('data', (chunk) => trailer.push(chunk));
  return trailer;
}

/**
 * @param {string} name
 * @returns {never}
 */
function missing(name) {
  throw new Error(`no socket for ${name}`);
}
