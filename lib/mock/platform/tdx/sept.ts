/**
 * The secure EPT of a TD, which the TDX module keeps: which of the host's pages the TD has, and how far each has come.
 * A page is added with contents while the TD is built, or augmented later and then accepted by the guest; blocked, and
 * removed, it is the host's again. Source: the SEAMCALLs of arch/x86/kvm/vmx/tdx.c, Linux 7.3.4.
 */

import type { Folio } from '../../memory.ts';
import { PageMap } from '../../page-map.ts';

export interface SeptEntry {
  readonly folio: Folio;
  /** `pending`: the guest has not accepted it. `blocked`: no new translation; what is cached goes with TDH.MEM.TRACK. */
  state: 'mapped' | 'pending' | 'blocked';
}

export class SecureEpt {
  readonly #entries = new PageMap<SeptEntry>();

  get size(): number {
    return this.#entries.size;
  }

  state(gfn: number): SeptEntry['state'] | undefined {
    return this.#entries.get(gfn)?.state;
  }

  /** TDH.MEM.PAGE.ADD: with what is in the page. undefined: there is one already. */
  add(gfn: number, folio: Folio): SeptEntry | undefined {
    return this.#insert(gfn, { folio, state: 'mapped' });
  }

  /** TDH.MEM.PAGE.AUG: nothing of what is in the page is the guest's. */
  augment(gfn: number, folio: Folio): SeptEntry | undefined {
    return this.#insert(gfn, { folio, state: 'pending' });
  }

  #insert(gfn: number, entry: SeptEntry): SeptEntry | undefined {
    if (this.#entries.get(gfn)) return undefined;
    this.#entries.set(gfn, entry);
    return entry;
  }

  /** TDG.MEM.PAGE.ACCEPT, by the guest: a page that is pending is its own, and zero. */
  accept(gfn: number): void {
    const entry = this.#entries.get(gfn);
    if (entry?.state !== 'pending') return;
    entry.folio.zero();
    entry.state = 'mapped';
  }

  /** TDH.MEM.RANGE.BLOCK. */
  block(gfn: number): void {
    const entry = this.#entries.get(gfn);
    if (entry) entry.state = 'blocked';
  }

  /** TDH.MEM.PAGE.REMOVE: of a blocked page only. */
  remove(gfn: number): Folio | undefined {
    const entry = this.#entries.get(gfn);
    if (entry?.state !== 'blocked') return undefined;
    this.#entries.delete(gfn);
    return entry.folio;
  }

  /** The TD is torn down: TDH.PHYMEM.PAGE.RECLAIM of all it has. */
  *reclaim(): Generator<Folio> {
    for (const [gfn, { folio }] of this.#entries.within(0, Number.MAX_SAFE_INTEGER)) {
      this.#entries.delete(gfn);
      yield folio;
    }
  }
}
