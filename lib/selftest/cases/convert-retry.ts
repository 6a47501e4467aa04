/** gmem.convert() where the kernel says EAGAIN: what is tried again, how often, and what is told. */

import { PAGE_SIZE } from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS } from '../conversion.ts';
import { HostFile } from '../host-file.ts';

const PINS = { ...CONVERTS, pins: true } as const;
const ALL = { offset: 0, size: 4 * PAGE_SIZE, to: 'private' } as const;
const HELD = 2 * PAGE_SIZE;

interface Patience {
  /** Tries during which the page is held. */
  readonly heldFor: number;
  readonly attempts: number | undefined;
  /** Tries made in all. */
  readonly made: number;
  readonly converted: boolean;
}

const retry = defineCase<Patience>({
  name: 'convert-retry',
  about:
    'gmem.convert() tries again as often as `retry` says while a page is referenced, zeroing error_offset each time, ' +
    'and names the page and the tries when it gives up; without `retry` it tries once.',
  requires: { ...PINS, mock: true },
  variants: {
    'no-retry': { heldFor: 1, attempts: undefined, made: 1, converted: false },
    'one-attempt': { heldFor: 1, attempts: 1, made: 1, converted: false },
    'last-attempt-works': { heldFor: 2, attempts: 3, made: 3, converted: true },
    'gives-up': { heldFor: 3, attempts: 3, made: 3, converted: false },
    'stops-when-done': { heldFor: 1, attempts: 50, made: 2, converted: true },
  },
  async run(t, { heldFor, attempts, made, converted }) {
    const file = await HostFile.create(t, 'SSSS');
    t.mock.transientReference(file.gmem.fd, HELD, heldFor);
    const options = attempts === undefined ? {} : { retry: { attempts, delayMs: 0 } };
    const outcome = await file.gmem.tryConvert(ALL, options);
    const tries = t.mock.journal.entries.filter(({ step }) => step === 'check-references');
    t.equal(tries.length, made, 'reference checks of the kernel');
    await file.is(converted ? 'PPPP' : 'SSSS', 'afterwards');
    if (converted) {
      t.succeeds(outcome, 'converting');
      return;
    }
    const { error, errorOffset } = t.fails(outcome, 'EAGAIN', 'converting');
    t.equal(errorOffset, BigInt(HELD), 'the page it names');
    t.equal(error.attempts, made, 'the tries it tells of');
  },
});

const lasting = defineCase({
  name: 'convert-retry-of-a-lasting-pin',
  about: 'A pin that stays is no passing reference: the tries end, and after its release the same call works.',
  requires: PINS,
  async run(t) {
    const file = await HostFile.create(t, 'SSSS');
    const pin = t.pin(file.gmem, HELD, PAGE_SIZE);
    const options = { retry: { attempts: 4, delayMs: 0 } };
    const refusal = t.fails(await file.gmem.tryConvert(ALL, options), 'EAGAIN', 'converting with a pin');
    t.equal(refusal.errorOffset, BigInt(HELD), 'the page it names');
    await t.throws(() => file.gmem.convert(ALL, options), 'EAGAIN', 'the throwing twin');
    await file.is('SSSS', 'after the refusals');
    pin.release();
    t.succeeds(await file.gmem.tryConvert(ALL, options), 'converting without the pin');
    await file.is('PPPP', 'after success');
  },
});

const released = defineCase({
  name: 'convert-retry-while-the-pin-is-released',
  about: 'A pin that goes between two tries lets the next one through.',
  requires: { ...PINS, mock: true },
  async run(t) {
    const file = await HostFile.create(t, 'SSSS');
    const pin = t.pin(file.gmem, HELD, PAGE_SIZE);
    let checks = 0;
    const stop = t.mock.journal.listen(({ step }) => {
      if (step === 'check-references' && ++checks === 3) setImmediate(() => pin.release());
    });
    t.defer(stop);
    const options = { retry: { attempts: 1000, delayMs: 1 }, signal: t.signal };
    t.succeeds(await file.gmem.tryConvert(ALL, options), 'converting');
    t.ok(checks > 3, 'the conversion was tried while the page was pinned');
    await file.is('PPPP', 'afterwards');
  },
});

const onlyReferences = defineCase({
  name: 'convert-retry-of-other-refusals',
  about: 'Only EAGAIN is tried again: ENOMEM and EINVAL are told at once.',
  requires: { ...CONVERTS, faults: true },
  async run(t) {
    const file = await HostFile.create(t, 'SSSS');
    const options = { retry: { attempts: 5, delayMs: 0 } };
    t.mock.faults.failAllocation(1);
    t.fails(await file.gmem.tryConvert(ALL, options), 'ENOMEM', 'an allocation fails once');
    const beyond = { ...ALL, offset: 4 * PAGE_SIZE };
    const refusal = t.fails(await file.gmem.tryConvert(beyond, options), 'EINVAL', 'past the end of the file');
    t.equal(refusal.error.attempts, 1, 'tries');
    await file.is('SSSS', 'afterwards');
  },
});

export const cases: readonly AnyCase[] = [retry, lasting, released, onlyReferences];
