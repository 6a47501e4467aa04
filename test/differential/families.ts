/** What is compared in one go: commands that work on the same things. A sequence of one family makes nothing of another's. */

import type { Command } from './command.ts';
import { contentCommands } from './commands/contents.ts';
import { createGuestMemfd, createMemfd, createVm } from './commands/files.ts';
import { commands as kvmCommands } from './commands/index.ts';
import { mappingCommands } from './commands/mappings.ts';
import {
  accessCommands,
  containerCommands,
  deviceCommands,
  dmaCommands,
  ioasCommands,
  iommuFileCommands,
  mapCommands,
  memfdCommands,
  mockCheckCommands,
  mockDeviceCommands,
  sizeCommands,
  tableCommands,
} from './iommu/commands/index.ts';
import type { Facts } from './world.ts';

export interface Family {
  readonly commands: readonly Command[];
  /** The commands that make something to work with: a sequence begins with them. */
  readonly opening: readonly string[];
  /** What a kernel must have for it and lacks. */
  missing(facts: Facts): string | undefined;
}

/** As tools: what they can answer at all is another family's business. */
const asTools = (commands: readonly Command[]): Command[] => commands.map((tool) => ({ ...tool, expects: () => [] }));

/** Memory for devices. */
const memory = asTools([
  createVm,
  createGuestMemfd,
  createMemfd,
  ...contentCommands,
  ...mappingCommands,
  ...memfdCommands,
]);
const spaces = [...iommuFileCommands, ...ioasCommands, ...mapCommands];
const tables = [...tableCommands, ...mockCheckCommands];

const noDevice = ({ vfioDevice }: Facts): string | undefined =>
  vfioDevice ? undefined : 'a device that vfio-pci has, at the address where the mock has its own';

export const families = {
  kvm: {
    commands: kvmCommands,
    opening: ['create-vm', 'create-guest-memfd', 'create-guest-memfd', 'mmap', 'slot-guest-memfd', 'mmap'],
    missing: () => undefined,
  },
  iommufd: {
    commands: [...spaces, ...memory, ...mockDeviceCommands, ...tables, ...accessCommands, ...sizeCommands],
    opening: [
      'open-iommufd',
      'ioas-alloc',
      'ioas-alloc',
      'ioas-small-pages',
      'memfd-create',
      'mmap',
      'mock-domain',
      'hwpt-alloc',
      'create-vm',
    ],
    missing: ({ iommufdTest }) => (iommufdTest ? undefined : 'iommufd with its test driver (CONFIG_IOMMUFD_TEST)'),
  },
  type1: {
    commands: [...asTools([...spaces, ...deviceCommands]), ...memory, ...containerCommands, ...dmaCommands],
    opening: [
      'open-container',
      'open-group',
      'group-set-container',
      'container-set-iommu',
      'mmap',
      'open-iommufd',
      'mmap',
    ],
    missing: noDevice,
  },
  // Without mock devices: a real device that is moved to a mock's page table makes Linux 7.3 take it for a mock, and crash.
  cdev: {
    commands: [...asTools([...spaces, ...tables, ...accessCommands]), ...memory, ...deviceCommands],
    opening: ['open-iommufd', 'ioas-alloc', 'open-cdev', 'device-bind', 'device-attach', 'memfd-create', 'mmap'],
    missing: noDevice,
  },
} satisfies Record<string, Family>;

export type FamilyName = keyof typeof families;
export const familyNames = Object.keys(families) as FamilyName[];
