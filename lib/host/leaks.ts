/**
 * Reports owners that were garbage-collected before they were closed. It reports and never closes: when a collector
 * runs is chance, and a test must not pass or fail by it.
 */

import { fileURLToPath } from 'node:url';

interface Owned {
  readonly isOpen: boolean;
  readonly title: string;
}

interface Record {
  readonly owned: Owned;
  readonly created: string;
}

const registry = new FinalizationRegistry<Record>(({ owned, created }) => {
  if (!owned.isOpen) return;
  process.emitWarning(`${owned.title} was garbage-collected without close(); it stays open until its host closes`, {
    type: 'GuestMemfdLeak',
    code: 'GMEM_LEAK',
    detail: created === '' ? 'Where it was created is not known' : `It was created here:\n${created}`,
  });
});

/** `owned` must not refer to `owner`, or it would never be collected. */
export function watchForLeak(owner: object, owned: Owned): void {
  registry.register(owner, { owned, created: creationStack() });
}

/** The typed API's own files; with the frames of Node's internals they would fill the trace. */
const OWN = ['.', '../kvm/', '../guest-memfd/', '../iommu/'].map((folder) => new URL(folder, import.meta.url));
const OWN_PATHS = OWN.flatMap((url) => [url.href, fileURLToPath(url)]);
const FRAMES = 30;

const isOwn = (frame: string): boolean =>
  frame.includes('(node:internal') || OWN_PATHS.some((path) => frame.includes(path));

/** As text at once: an Error whose stack nobody has read yet keeps the objects of its frames alive, the owner among them. */
function creationStack(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES;
  const frames = (new Error().stack ?? '').split('\n').slice(1);
  Error.stackTraceLimit = limit;
  return frames.filter((frame) => !isOwn(frame)).join('\n');
}
