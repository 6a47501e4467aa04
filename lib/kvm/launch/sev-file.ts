/** /dev/sev: the firmware, which every command of a launch is given an fd of. */

import { O_CLOEXEC, O_RDWR } from '../../abi/linux.ts';
import { SEV_PATH } from '../../abi/sev.ts';
import { type Context, failure, type OwnedFd, type Result, success } from '../../host/index.ts';

const FIX =
  'load the driver (modprobe ccp) and enable SEV in the firmware setup (SMEE, SEV-SNP); reading and writing it takes root, or a udev rule';

/** Open as long as a launch needs it: KVM looks the fd up again at every command. */
export class SevFile {
  readonly #context: Context;
  #file: OwnedFd | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  async open(): Promise<Result<number>> {
    if (this.#file?.isOpen) return success(this.#file.number);
    const fd = await this.#context.syscalls.open(SEV_PATH, O_RDWR | O_CLOEXEC);
    if (fd < 0) return failure({ syscall: 'open', args: { path: SEV_PATH }, hint: FIX }, fd);
    this.#file = this.#context.own(SEV_PATH, fd);
    return success(fd);
  }

  async close(): Promise<void> {
    if (this.#file) await this.#context.close(this.#file);
    this.#file = undefined;
  }
}
