/** The guest's own page tables: four levels, 4 KiB, 2 MiB and 1 GiB pages. */

const PRESENT = 1n << 0n;
const LARGE = 1n << 7n;
const ADDRESS = 0x000f_ffff_ffff_f000n;
const LEVELS = [39n, 30n, 21n, 12n] as const;

/** A virtual address in guest-physical terms; undefined where the tables have nothing. `load` reads one entry. */
export function walk(cr3: bigint, virtual: bigint, load: (gpa: bigint) => bigint): bigint | undefined {
  let table = cr3 & ADDRESS;
  for (const shift of LEVELS) {
    const entry = load(table + ((virtual >> shift) & 0x1ffn) * 8n);
    if (!(entry & PRESENT)) return undefined;
    const isLeaf = shift === 12n || (shift !== 39n && (entry & LARGE) !== 0n);
    const inPage = (1n << shift) - 1n;
    if (isLeaf) return (entry & ADDRESS & ~inPage) | (virtual & inPage);
    table = entry & ADDRESS;
  }
  return undefined;
}
