/**
 * The guest's address space, one for each vCPU: its own memory at 0, and behind it a window of some 2 MiB pages that is
 * moved to whatever guest-physical address a request touches.
 */

import type { SpecialRegisters } from '../vcpu.ts';

export const LARGE_PAGE = 0x20_0000;
/** Where the window is in the guest's virtual addresses. */
const WINDOW = BigInt(LARGE_PAGE);
/** Moving the window costs several calls, its size next to nothing. */
const WINDOW_PAGES = 16;
const WINDOW_SIZE = BigInt(WINDOW_PAGES * LARGE_PAGE);

/** The last guest-physical address: entries of a page table hold 52 bits, and the CPU ignores those above. */
export const LAST_ADDRESS = (1n << 52n) - 1n;

const PRESENT = 1n << 0n;
const WRITABLE = 1n << 1n;
/** Accessed and dirty are set beforehand, so that no walk writes to the tables. */
const ACCESSED = 1n << 5n;
const DIRTY = 1n << 6n;
const LARGE = 1n << 7n;
const TABLE = PRESENT | WRITABLE | ACCESSED;
const LEAF = TABLE | DIRTY | LARGE;

export const TABLE_PAGES = 3;

/** Three tables, to lie at `address` in guest-physical memory. `memory` is what virtual address 0 leads to. */
export function pageTables(address: bigint, pageSize: number, memory: bigint): Uint8Array {
  const tables = new Uint8Array(TABLE_PAGES * pageSize);
  const view = new DataView(tables.buffer);
  const page = BigInt(pageSize);
  view.setBigUint64(0, (address + page) | TABLE, true);
  view.setBigUint64(pageSize, (address + 2n * page) | TABLE, true);
  view.setBigUint64(2 * pageSize, memory | LEAF, true);
  return tables;
}

/** The window that shows a range of at most `(WINDOW_PAGES - 1) * LARGE_PAGE` bytes: the one there is, where it does. */
export function windowOver(gpa: bigint, length: number, current: bigint | undefined): bigint {
  const shown = current !== undefined && gpa >= current && gpa + BigInt(length) <= current + WINDOW_SIZE;
  return shown ? current : gpa - (gpa % WINDOW);
}

/** The entries that point the window at a guest-physical address, and where in the tables they stand. */
export function windowEntries(window: bigint, pageSize: number): { readonly at: number; readonly bytes: Uint8Array } {
  const entries = BigUint64Array.from({ length: WINDOW_PAGES }, (_, page) => (window + BigInt(page) * WINDOW) | LEAF);
  return { at: 2 * pageSize + 8, bytes: new Uint8Array(entries.buffer) };
}

/** Where an address is in the guest's virtual addresses while the window is at `window`. */
export const inWindow = (gpa: bigint, window: bigint): bigint => WINDOW + gpa - window;

const CR0_PE = 1n << 0n;
const CR0_ET = 1n << 4n;
const CR0_NE = 1n << 5n;
const CR0_PG = 1n << 31n;
const CR4_PAE = 1n << 5n;
const EFER_LME = 1n << 8n;
const EFER_LMA = 1n << 10n;

const CODE_SEGMENT = {
  base: 0n,
  limit: 0xffff_ffff,
  selector: 8,
  type: 11,
  present: 1,
  dpl: 0,
  db: 0,
  s: 1,
  l: 1,
  g: 1,
};
const DATA_SEGMENT = {
  base: 0n,
  limit: 0xffff_ffff,
  selector: 16,
  type: 3,
  present: 1,
  dpl: 0,
  db: 1,
  s: 1,
  l: 0,
  g: 1,
};

/** Registers of a CPU in 64-bit mode on these tables. */
export function longMode(sregs: SpecialRegisters, tables: bigint): Partial<SpecialRegisters> {
  const code = { ...sregs.cs, ...CODE_SEGMENT };
  const data = { ...sregs.ds, ...DATA_SEGMENT };
  return {
    ...sregs,
    cs: code,
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    cr0: CR0_PE | CR0_ET | CR0_NE | CR0_PG,
    cr3: tables,
    cr4: CR4_PAE,
    efer: EFER_LME | EFER_LMA,
  };
}
