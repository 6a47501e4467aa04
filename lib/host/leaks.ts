/**
 * Reports owners that were garbage-collected before they were closed. It reports and never closes: when a collector
 * runs is chance, and a test must not pass or fail by it.
 */

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
    detail: `It was created here:\n${created}`,
  });
});

/** `owned` must not refer to `owner`, or it would never be collected. */
export function watchForLeak(owner: object, owned: Owned): void {
  registry.register(owner, { owned, created: creationStack() }, owned);
}

export function leakImpossible(owned: Owned): void {
  registry.unregister(owned);
}

/** As text at once: an Error whose stack nobody has read yet keeps the objects of its frames alive, the owner among them. */
function creationStack(): string {
  const stack = new Error('created').stack ?? '';
  return stack
    .split('\n')
    .slice(1)
    .filter((line) => !line.includes('/host/leaks.') && !line.includes('/host/resource.'))
    .join('\n');
}
