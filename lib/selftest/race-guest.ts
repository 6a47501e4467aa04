/** A guest's part in a race: a vCPU that writes and reads bytes of its own until the race is over. */

import { PAGE_SIZE } from '../abi/index.ts';
import type { Guest, GuestStopped, VcpuExit } from '../kvm/index.ts';
import type { Random } from '../syscalls/random.ts';
import type { T } from './context.ts';
import type { Meanwhile } from './race.ts';
import type { Pages } from './race-steps.ts';

export interface GuestCells {
  readonly gpa: bigint;
  readonly pages: Pages;
  /** Where on each page; nobody else writes there. */
  readonly at: number;
  /** What may stop it; it then goes on. */
  readonly may?: readonly VcpuExit['reason'][];
  /** Whether what it wrote must be what it finds, or that or 0, or (with two backings) anything. Default: 'same'. */
  readonly finds?: 'same' | 'same-or-zero' | 'anything';
}

const LENGTH = 16;

class Touching {
  readonly #t: T;
  readonly #guest: Guest;
  readonly #vcpu: number;
  readonly #cells: GuestCells;
  readonly #known = new Map<bigint, Uint8Array>();
  readonly #exits = new Map<string, number>();
  #accesses = 0;

  constructor(t: T, guest: Guest, vcpu: number, cells: GuestCells) {
    this.#t = t;
    this.#guest = guest;
    this.#vcpu = vcpu;
    this.#cells = cells;
  }

  async write(gpa: bigint, byte: number): Promise<void> {
    const bytes = new Uint8Array(LENGTH).fill(byte);
    const written = await this.#guest.write(gpa, bytes, { vcpu: this.#vcpu });
    this.#learn(gpa, bytes.subarray(0, this.#moved(written)));
  }

  async read(gpa: bigint): Promise<void> {
    const read = await this.#guest.read(gpa, LENGTH, { vcpu: this.#vcpu });
    this.#moved(read);
    // What arrived before an exit is not handed out.
    if (!read.ok || this.#cells.finds === 'anything') return;
    const known = this.#known.get(gpa) ?? new Uint8Array(0);
    const zeroWillDo = this.#cells.finds === 'same-or-zero';
    const wanted = read.bytes.slice();
    for (const [i, byte] of known.entries()) if (!zeroWillDo || wanted[i] !== 0) wanted[i] = byte;
    this.#t.equal(read.bytes, wanted, `vCPU ${this.#vcpu} finds what it wrote at 0x${gpa.toString(16)}`);
    this.#learn(gpa, read.bytes);
  }

  get summary(): string {
    const exits = [...this.#exits].map(([reason, count]) => `, ${reason} ${count}`).join('');
    return `vCPU ${this.#vcpu}: ${this.#accesses} accesses${exits}`;
  }

  /** How many bytes an access moved; an exit that may not be ends the case. */
  #moved(outcome: { readonly ok: true } | GuestStopped): number {
    this.#accesses += 1;
    if (outcome.ok) return LENGTH;
    const { reason } = outcome.exit;
    this.#exits.set(reason, (this.#exits.get(reason) ?? 0) + 1);
    const may: readonly string[] = this.#cells.may ?? [];
    this.#t.ok(
      may.includes(reason),
      `vCPU ${this.#vcpu} is stopped by nothing but ${may.join(', ') || 'the end'}: ${reason}`,
    );
    return outcome.completed;
  }

  #learn(gpa: bigint, bytes: Uint8Array): void {
    const known = this.#known.get(gpa) ?? new Uint8Array(0);
    const next = new Uint8Array(Math.max(known.length, bytes.length));
    next.set(known);
    next.set(bytes);
    this.#known.set(gpa, next);
  }
}

export function guestTouches(t: T, random: Random, guest: Guest, vcpu: number, cells: GuestCells): Meanwhile {
  const touching = new Touching(t, guest, vcpu, cells);
  const { first, count } = cells.pages;
  return async (over) => {
    do {
      const gpa = cells.gpa + BigInt((first + random.below(count)) * PAGE_SIZE + cells.at);
      await touching.write(gpa, 1 + random.below(255));
      await touching.read(gpa);
    } while (!over());
    return touching.summary;
  };
}
