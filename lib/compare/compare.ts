/** One workload over the designs and platforms, each on a machine of its own. */

import { PAGE_SIZE } from '../abi/linux.ts';
import type { PlatformName, ProfileName } from '../mock/index.ts';
import { Random } from '../syscalls/random.ts';
import type { DesignName } from './designs.ts';
import { startMachine } from './machine.ts';
import { type Figures, Tally } from './tally.ts';
import { Traffic } from './traffic.ts';
import { makeVmm } from './vmm.ts';
import { type WorkloadName, type WorkloadOptions, workload } from './workload.ts';

export interface CompareOptions extends WorkloadOptions {
  readonly kernel: ProfileName;
  readonly platforms: readonly PlatformName[];
  readonly designs: readonly DesignName[];
  readonly workloads: readonly WorkloadName[];
}

export interface Row extends Figures {
  readonly workload: WorkloadName;
  readonly platform: PlatformName;
  readonly design: DesignName;
}

/** The rows one by one, in the order of the options. */
export async function* compare(options: CompareOptions): AsyncGenerator<Row> {
  for (const workload of options.workloads) {
    for (const platform of options.platforms) {
      for (const design of options.designs) {
        yield { workload, platform, design, ...(await runOne(options, workload, platform, design)) };
      }
    }
  }
}

/** A host that died does no more: the run ends there. */
async function runOne(
  options: CompareOptions,
  name: WorkloadName,
  platform: PlatformName,
  design: DesignName,
): Promise<Figures> {
  const { kernel, size, seed } = options;
  const requests = workload(name, options);
  const machine = await startMachine({ kernel, platform, design, size });
  const tally = new Tally(machine.mock, requests.length);
  try {
    const traffic = new Traffic(machine.device, tally, new Random(seed), size / PAGE_SIZE);
    const vmm = await makeVmm(design, { machine, traffic, tally });
    for (const request of requests) {
      await vmm.handle(request);
      if (machine.mock.machineCheck !== undefined) break;
    }
  } finally {
    tally.end();
    await machine[Symbol.asyncDispose]();
  }
  return tally.figures();
}
