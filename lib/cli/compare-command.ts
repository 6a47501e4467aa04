/** `gmem compare`: one workload over the designs by which an IOMMU can have guest memory, in numbers. */

import {
  type CompareOptions,
  compare,
  designNames,
  LARGEST_MEMORY,
  type Row,
  rowsText,
  workloadNames,
} from '../compare/index.ts';
import { platformNames, profileNames, profiles } from '../mock/index.ts';
import type { Command } from './io.ts';
import { type Given, optionsHelp, parseOptions, UsageError } from './options.ts';

const MIB = 1024 * 1024;
const SMALLEST_MEMORY = 16 * MIB;
const DEFAULT_SIZE = 256;
const DEFAULT_CONVERSIONS = 100;
const MOST_CONVERSIONS = 100_000;
const DEFAULT_SEED = 1;
const LARGEST_SEED = 0xffff_ffff;

const options = {
  kernel: {
    value: 'NAME',
    words: profileNames.filter((name) => profiles[name].conversion !== 'none'),
    help: 'the kernel the mock is, of those that convert in place (default rfc-v2)',
  },
  platform: { value: 'NAME', words: platformNames, many: true, help: 'on this hardware only' },
  policy: { value: 'NAME', words: designNames, many: true, help: 'this design only' },
  workload: { value: 'NAME', words: [...workloadNames, 'both'], help: 'what the guest does (default both)' },
  size: { value: 'MIB', help: `guest memory, a power of two from 16 to 1024 MiB (default ${DEFAULT_SIZE})` },
  conversions: { value: 'N', help: `small conversions in a workload (default ${DEFAULT_CONVERSIONS})` },
  seed: { value: 'N', help: `what is left to chance follows from it (default ${DEFAULT_SEED})` },
  json: { help: 'print one JSON document' },
  help: { short: 'h', help: 'print this' },
} as const;

const help = `gmem compare: what conversions cost, and what they risk, by how the IOMMU has guest memory

usage: gmem compare [OPTION...]

${optionsHelp(options)}

Runs the same guest on mocked machines, each with a device that writes a shared page whenever the VMM has done
something, and once more the page that the guest has just taken back. The VMM converts without unmapping first.

designs:
  pin          released kernels: mapped by address, pinned; refused with EAGAIN, the VMM unmaps and tries again
  trust-vmm    mapped by file, no references, no notification: the VMM unmaps after the conversion
  notifier     no references; the kernel unmaps the range at the conversion (SEV-SNP: keeps it, the hardware checks)
  revoke-area  no references; the kernel revokes the whole area, the VMM maps what stays shared anew
  guest-ram    pin, and the VMM unmaps before it converts, as GuestRam of this package does

workloads:
  boot         firmware shares small areas and takes them back, the kernel shares large bounce buffers and shrinks them
  steady       a quarter of the memory is shared, and pages of it go to and fro

columns:
  refused      conversions that the kernel refused at first
  maps, unmaps by the VMM; by kernel: unmaps that the kernel made; mapped: bytes that were mapped in all
  splits       large IOMMU page-table entries that were split
  stale        mappings that led to private pages after a conversion; page x DMA: their pages, times the transfers
               that were made meanwhile
  hazards      transfers that reached private memory or killed the host; on TDX the host dies, and the run ends there
  contained    transfers to private memory that the hardware stopped with a fault
  lost DMA     transfers to shared memory that found it unmapped

The last table has each design's sums over the workloads and platforms above; peak pinned is the largest.

exit code: 0; 2 wrong usage
JSON: { kernel, size, conversions, seed, rows: [{ workload, platform, design, ... }] }; sizes in bytes`;

export const compareCommand: Command = {
  summary: 'what conversions cost and risk under each IOMMU policy, on every platform of the mock',
  help,
  async run(argv, io) {
    const given = parseOptions(argv, options);
    const wanted = compareOptions(given);
    const { kernel, size, conversions, seed } = wanted;
    const rows: Row[] = [];
    for await (const row of compare(wanted)) {
      rows.push(row);
      if (io.signal.aborted) break;
    }
    if (given.json) {
      io.out(`${JSON.stringify({ kernel, size, conversions, seed, rows }, undefined, 2)}\n`);
    } else {
      io.out(`kernel ${kernel}, ${size / MIB} MiB, ${conversions} conversions, seed ${seed}\n\n${rowsText(rows)}\n`);
    }
    return 0;
  },
};

function compareOptions(given: Given<typeof options>): CompareOptions {
  const { workload = 'both' } = given;
  const size =
    number(given.size, { name: 'size', least: SMALLEST_MEMORY / MIB, most: LARGEST_MEMORY / MIB }) ?? DEFAULT_SIZE;
  if (size & (size - 1)) throw new UsageError(`--size takes a power of two; got '${size}'`);
  return {
    kernel: given.kernel ?? 'rfc-v2',
    platforms: unique(given.platform) ?? platformNames,
    designs: unique(given.policy) ?? designNames,
    workloads: workload === 'both' ? workloadNames : [workload],
    size: size * MIB,
    conversions:
      number(given.conversions, { name: 'conversions', least: 0, most: MOST_CONVERSIONS }) ?? DEFAULT_CONVERSIONS,
    seed: number(given.seed, { name: 'seed', least: 0, most: LARGEST_SEED }) ?? DEFAULT_SEED,
  };
}

const unique = <V>(values: readonly V[] | undefined): V[] | undefined => values && [...new Set(values)];

function number(
  text: string | undefined,
  { name, least, most }: { readonly name: string; readonly least: number; readonly most: number },
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${name} takes a whole number from ${least} to ${most}; got '${text}'`);
}
