/** KVM's own VFIO device: it tells KVM which VFIO files belong to a VM. */

import { errno } from '../abi/errno.ts';
import { wrongType } from '../abi/invalid.ts';
import {
  KVM_DEV_VFIO_FILE,
  KVM_DEV_VFIO_FILE_ADD,
  KVM_DEV_VFIO_FILE_DEL,
  KVM_SET_DEVICE_ATTR,
  kvm_dev_vfio_file,
} from '../abi/kvm-device.ts';
import { FdResource, issue, prepareIoctl, type Result, success, unwrap } from '../host/index.ts';
import { VfioDevice, VfioGroup } from '../iommu/index.ts';

const HINTS: Readonly<Record<number, string>> = {
  [-errno.EEXIST]: 'it was added before',
  [-errno.ENOENT]: 'it was not added',
  [-errno.EINVAL]: 'the file is no VFIO group and no VFIO device',
};

/** Made by `vm.vfio()`. Closing it takes all files out. */
export class VmVfio extends FdResource {
  /**
   * Tells KVM of a device, or of a group. The device has to be told of before it is opened through its group, or bound
   * to an iommufd, since that is when it asks for the VM.
   *
   * | errno  | meaning                                       |
   * |--------|-----------------------------------------------|
   * | EEXIST | it was added before                            |
   * | EINVAL | the file is neither a group nor a device       |
   *
   * Source: kvm_vfio_file_add(), virt/kvm/vfio.c.
   *
   * @throws KernelError
   */
  async add(file: VfioDevice | VfioGroup): Promise<void> {
    unwrap(await this.tryAdd(file));
  }

  /** As `add`, with the kernel's refusal as a value. */
  async tryAdd(file: VfioDevice | VfioGroup): Promise<Result<void>> {
    return await this.#set(file, KVM_DEV_VFIO_FILE_ADD);
  }

  /** Takes it out again. @throws KernelError ENOENT when it was not added */
  async remove(file: VfioDevice | VfioGroup): Promise<void> {
    unwrap(await this.tryRemove(file));
  }

  /** As `remove`, with the kernel's refusal as a value. */
  async tryRemove(file: VfioDevice | VfioGroup): Promise<Result<void>> {
    return await this.#set(file, KVM_DEV_VFIO_FILE_DEL);
  }

  async #set(file: VfioDevice | VfioGroup, attr: bigint): Promise<Result<void>> {
    if (!(file instanceof VfioDevice) && !(file instanceof VfioGroup)) {
      throw wrongType('file', 'a VfioDevice or a VfioGroup', file);
    }
    const { fd } = file;
    const owned = this.context.find(fd);
    if (!owned) throw wrongType('file', 'made on the same host', file);
    const { number } = this.handle;
    const args = { group: KVM_DEV_VFIO_FILE, attr, addr: kvm_dev_vfio_file.encode({ fd }) };
    const outcome = await owned.use(() =>
      this.handle.use(() => issue(this.context.syscalls, number, prepareIoctl(number, KVM_SET_DEVICE_ATTR, args))),
    );
    if (outcome.ok) return success(undefined);
    const hint = HINTS[outcome.errno];
    const error = outcome.error.with({ args: { ...args, addr: { fd } }, ...(hint && { hint }) });
    return { ok: false, code: outcome.code, errno: outcome.errno, error };
  }
}
