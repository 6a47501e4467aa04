/** Address space identifiers: each SEV guest's key. There is a fixed number of them. */

const SNP_ASIDS = 99;

export class Asids {
  readonly #taken = new Set<number>();

  /** sev_asid_new(): the lowest that is free; undefined for EBUSY. */
  take(): number | undefined {
    for (let asid = 1; asid <= SNP_ASIDS; asid++) {
      if (this.#taken.has(asid)) continue;
      this.#taken.add(asid);
      return asid;
    }
    return undefined;
  }

  give(asid: number): void {
    this.#taken.delete(asid);
  }

  get taken(): number {
    return this.#taken.size;
  }
}
