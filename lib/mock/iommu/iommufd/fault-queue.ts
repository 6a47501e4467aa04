/** IOMMU_FAULT_QUEUE_ALLOC: page faults of devices, read and answered by user space. Source: eventq.c. */

import { errno } from '../../../abi/errno.ts';
import { struct, u32, u64 } from '../../../abi/struct.ts';
import type { FaultReports, PageFault } from './hwpt.ts';
import { IommufdObject } from './objects.ts';

const iommu_hwpt_pgfault = struct('iommu_hwpt_pgfault', {
  flags: u32,
  dev_id: u32,
  pasid: u32,
  grpid: u32,
  perm: u32,
  __reserved: u32,
  addr: u64,
  length: u32,
  cookie: u32,
});
const iommu_hwpt_page_response = struct('iommu_hwpt_page_response', { cookie: u32, code: u32 });

const RESPONSE_SUCCESS = 0;
const RESPONSE_INVALID = 1;

export class FaultQueue extends IommufdObject implements FaultReports {
  #waiting: PageFault[] = [];
  readonly #unanswered = new Map<number, PageFault>();

  report(fault: PageFault): void {
    this.#waiting.push(fault);
  }

  /** The device has left the page table: its faults are over. */
  forget(source: object): void {
    this.#waiting = this.#waiting.filter((fault) => fault.source !== source);
    for (const [cookie, fault] of this.#unanswered) if (fault.source === source) this.#unanswered.delete(cookie);
  }

  read(bytes: Uint8Array): number {
    const { size } = iommu_hwpt_pgfault;
    if (bytes.length % size !== 0) return -errno.ESPIPE;
    let done = 0;
    for (let fault = this.#waiting[0]; fault; fault = this.#waiting[0]) {
      if (done + size > bytes.length) return done === 0 ? -errno.EINVAL : done;
      this.#waiting.shift();
      const { deviceId, flags, pasid, group, permissions, address } = fault;
      const cookie = this.#cookie(fault);
      const encoded = { flags, dev_id: deviceId, pasid, grpid: group, perm: permissions, addr: address, cookie };
      bytes.set(iommu_hwpt_pgfault.encode(encoded), done);
      done += size;
    }
    return done;
  }

  /** The lowest that is free, from 1. */
  #cookie(fault: PageFault): number {
    let cookie = 1;
    while (this.#unanswered.has(cookie)) cookie++;
    this.#unanswered.set(cookie, fault);
    return cookie;
  }

  write(bytes: Uint8Array): number {
    const { size } = iommu_hwpt_page_response;
    if (bytes.length % size !== 0) return -errno.ESPIPE;
    for (let done = 0; done < bytes.length; done += size) {
      const { cookie, code } = iommu_hwpt_page_response.decode(bytes.subarray(done, done + size));
      const known = code === RESPONSE_SUCCESS || code === RESPONSE_INVALID;
      if (!known || !this.#unanswered.delete(cookie)) return done === 0 ? -errno.EINVAL : done;
    }
    return bytes.length;
  }

  override destroy(): void {}
}
