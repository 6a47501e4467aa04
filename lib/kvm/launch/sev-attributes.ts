/** What KVM on this host offers to guests of SEV, as attributes of /dev/kvm. */

import { errno } from '../../abi/errno.ts';
import { KVM_GET_DEVICE_ATTR } from '../../abi/kvm-device.ts';
import {
  KVM_X86_GRP_SEV,
  KVM_X86_SEV_SNP_REQ_CERTS,
  KVM_X86_SEV_VMSA_FEATURES,
  KVM_X86_SNP_POLICY_BITS,
} from '../../abi/sev.ts';
import { type Context, issue, prepareIoctl, type Result, success } from '../../host/index.ts';

/** Each is undefined where the kernel does not tell: it has no SEV, or is older than the attribute. */
export interface SevAttributes {
  /** SVM_SEV_FEAT_* bits for `SevInitOptions.vmsaFeatures`. Since Linux 6.10. */
  readonly vmsaFeatures: bigint | undefined;
  /** SNP_POLICY_* bits for `SnpStartOptions.policy`. */
  readonly policyBits: bigint | undefined;
  /** Whether guests may ask the VMM for certificates. */
  readonly requestsCertificates: boolean | undefined;
}

/** `system` is the fd of /dev/kvm. */
export async function sevAttributes(context: Context, system: number): Promise<Result<SevAttributes>> {
  const found: (bigint | undefined)[] = [];
  for (const attr of [KVM_X86_SEV_VMSA_FEATURES, KVM_X86_SNP_POLICY_BITS, KVM_X86_SEV_SNP_REQ_CERTS]) {
    const asked = await attribute(context, system, attr);
    if (!asked.ok) return asked;
    found.push(asked.value);
  }
  const [vmsaFeatures, policyBits, certificates] = found;
  const requestsCertificates = certificates === undefined ? undefined : certificates !== 0n;
  return success({ vmsaFeatures, policyBits, requestsCertificates });
}

async function attribute({ syscalls }: Context, system: number, attr: bigint): Promise<Result<bigint | undefined>> {
  const addr = new Uint8Array(8);
  const call = prepareIoctl(system, KVM_GET_DEVICE_ATTR, { flags: 0, group: KVM_X86_GRP_SEV, attr, addr });
  const asked = await issue(syscalls, system, call);
  if (asked.ok) return success(new DataView(addr.buffer).getBigUint64(0, true));
  // EINVAL: /dev/kvm of a kernel that has no attributes at all.
  return [-errno.ENXIO, -errno.EINVAL].includes(asked.ret) ? success(undefined) : asked;
}
