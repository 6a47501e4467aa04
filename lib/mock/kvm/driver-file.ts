/** The file of the hardware's own driver, /dev/sev: KVM is shown it as a licence to use the firmware. */

import { PAGE_SIZE, S_IFCHR } from '../../abi/linux.ts';
import type { Stat } from '../../syscalls/seam.ts';
import { MockFile } from '../process/index.ts';

export class DriverFile extends MockFile {
  override get hasPositions(): boolean {
    return true;
  }

  stat(): Stat {
    return { ino: 3n, mode: S_IFCHR | 0o600, nlink: 1, size: 0n, blksize: PAGE_SIZE, blocks: 0n };
  }
}
