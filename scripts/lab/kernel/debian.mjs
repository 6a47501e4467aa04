// @ts-check
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, say, Unavailable } from '../host/failure.mjs';
import { openLog } from '../host/logged.mjs';
import { capture, findProgram } from '../host/processes.mjs';
import { entries } from './store.mjs';

/** @typedef {import('../host/cache.mjs').Cache} Cache */

const SUITE = 'trixie-backports';
/** A tree, its objects and what is unpacked meanwhile, with room to spare. */
const GIGABYTES = 5;

/** What apt is asked to print about each index it knows. */
const TARGETS = '$(IDENTIFIER)|$(ORIGIN)|$(RELEASE)|$(REPO_URI)|$(SIGNED_BY)';

/**
 * The archive this machine takes Debian from.
 * @param {string} targets what `apt-get indextargets` printed in the format TARGETS
 * @returns {{ uri: string, signedBy: string | undefined } | undefined}
 */
export function chooseMirror(targets) {
  const found = targets
    .split('\n')
    .map((line) => {
      const [identifier, origin, release = '', uri = '', signedBy] = line.split('|');
      // apt leaves the name of a field in place when it has nothing to say about it.
      const known = (/** @type {string | undefined} */ field) => (field?.startsWith('$(') ? undefined : field);
      return { identifier, origin: known(origin), release, uri, signedBy: known(signedBy) };
    })
    .filter(
      ({ identifier, uri, release }) => identifier === 'Packages' && uri !== '' && !/security/.test(uri + release),
    );
  // Without package lists, as in most container images, the origin is not known, only where they would come from.
  const chosen = found.find(({ origin }) => origin === 'Debian') ?? found.find(({ uri }) => /\/debian\/?$/.test(uri));
  return chosen && { uri: chosen.uri, signedBy: chosen.signedBy };
}

/**
 * @param {string} names output of `apt-cache search`
 * @returns {string | undefined} the linux-source package of the newest kernel
 */
export function newestSource(names) {
  return names
    .split('\n')
    .flatMap((line) => {
      const match = /^(linux-source-(\d+)\.(\d+))\s/.exec(line);
      return match === null ? [] : [{ name: match[1], major: Number(match[2]), minor: Number(match[3]) }];
    })
    .sort((a, b) => b.major - a.major || b.minor - a.minor)[0]?.name;
}

/**
 * @param {string} name of a folder in cache.sources, as linux-source-7.3_7.3.4-1~bpo13+1
 * @returns {number[]}
 */
function versionOf(name) {
  return (/_(.*)/.exec(name)?.[1] ?? '').split(/\D+/).map(Number);
}

/**
 * @param {string[]} names
 * @returns {string | undefined} the newest of the sources
 */
export function newestFetched(names) {
  return names
    .filter((name) => name.startsWith('linux-source-') && !name.endsWith('.partial'))
    .sort((a, b) => {
      const [left, right] = [versionOf(a), versionOf(b)];
      for (let i = 0; i < Math.max(left.length, right.length); i++) {
        const order = (right[i] ?? 0) - (left[i] ?? 0);
        if (order !== 0) return order;
      }
      return 0;
    })[0];
}

/**
 * The newest Debian source that is here, without a look at the network.
 * @param {Cache} cache
 */
export const fetchedSource = (cache) => newestFetched(entries(cache.sources));

/** @param {Cache} cache */
function checkRoom(cache) {
  mkdirSync(cache.root, { recursive: true });
  const { bavail, bsize } = statfsSync(cache.root);
  if (bavail * bsize < GIGABYTES * 2 ** 30) {
    throw new Unavailable(
      `${cache.root} needs ${GIGABYTES} GB of free space; set XDG_CACHE_HOME to a place that has it`,
    );
  }
}

/**
 * apt with lists, archives and one source of its own; the machine's are neither used nor changed. Its proxies and
 * other settings hold.
 * @param {Cache} cache
 */
function prepareApt(cache) {
  for (const folder of ['lists/partial', 'cache/archives/partial', 'debs']) {
    mkdirSync(join(cache.apt, folder), { recursive: true });
  }
  if (findProgram('apt-get') === undefined) {
    throw new Unavailable(
      'fetching a kernel source needs apt-get; give a kernel tree of your own: lab build --source DIR',
    );
  }
  const mirror = chooseMirror(capture('apt-get', ['indextargets', '--format', TARGETS]));
  if (mirror === undefined) {
    throw new Unavailable(
      "apt's sources name no Debian archive; give a kernel tree of your own: lab build --source DIR",
    );
  }
  const keyrings = ['/usr/share/keyrings/debian-archive-keyring.gpg', '/usr/share/keyrings/debian-archive-keyring.pgp'];
  const signedBy = mirror.signedBy ?? keyrings.find((file) => existsSync(file));
  const options = signedBy === undefined ? '' : `[signed-by=${signedBy}] `;
  writeFileSync(join(cache.apt, 'sources.list'), `deb ${options}${mirror.uri} ${SUITE} main\n`);
  const settings = {
    'Dir::Etc::sourcelist': join(cache.apt, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State::lists': join(cache.apt, 'lists'),
    'Dir::Cache': join(cache.apt, 'cache'),
    'Acquire::Languages': 'none',
    'APT::Sandbox::User': 'root',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/**
 * Fetches and unpacks the newest linux-source of the suite, unless it is here.
 * @param {Cache} cache
 * @param {string} logFile
 * @returns {Promise<string>} its name in cache.sources
 */
export async function fetchSource(cache, logFile) {
  checkRoom(cache);
  const apt = prepareApt(cache);
  const log = openLog(logFile);
  const env = { ...process.env, LC_ALL: 'C.UTF-8' };
  await log.run(`reading ${SUITE}`, ['apt-get', ...apt, '--error-on=any', 'update'], { env });
  const name = newestSource(capture('apt-cache', [...apt, 'search', '--names-only', '^linux-source-[0-9]'], { env }));
  if (name === undefined) throw new Failure(`${SUITE} has no linux-source package; the log is ${logFile}`);
  const version = /^Version: (.*)$/m.exec(
    capture('apt-cache', [...apt, 'show', '--no-all-versions', name], { env }),
  )?.[1];
  const full = `${name}_${version}`;
  const target = join(cache.sources, full);
  if (existsSync(target)) return full;

  const debs = join(cache.apt, 'debs');
  // Into the working folder; an interrupted download leaves its part here, and apt goes on from it.
  await log.run(`downloading ${full}`, ['apt-get', ...apt, 'download', name], { cwd: debs, env });
  const deb = readdirSync(debs).find((file) => file.startsWith(`${name}_`) && file.endsWith('.deb'));
  if (deb === undefined) throw new Failure(`apt-get downloaded no ${name}; the log is ${logFile}`);
  await unpack(join(debs, deb), `${name}.tar.xz`, target, log);
  rmSync(debs, { recursive: true });
  say(`${full} is in ${target}`);
  return full;
}

/**
 * @param {string} deb
 * @param {string} archive the tree's name in the package
 * @param {string} target
 * @param {import('../host/logged.mjs').Log} log
 */
async function unpack(deb, archive, target, log) {
  const partial = `${target}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  const pipeline = `set -e
    dpkg-deb --fsys-tarfile "$1" | tar -xOf - "./usr/src/$2" | tar -xJf - -C "$3" --strip-components=1
    test -e "$3/Makefile"`;
  await log.run('unpacking', ['sh', '-c', pipeline, 'unpack', deb, archive, partial]);
  renameSync(partial, target);
}
