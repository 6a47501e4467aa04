/** The launch of an SNP guest: snp_launch_start(), _update() and _finish(), arch/x86/kvm/svm/sev.c. */

import { errno } from '../../../abi/errno.ts';
import {
  KVM_SEV_SNP_ID_AUTH_SIZE,
  KVM_SEV_SNP_ID_BLOCK_SIZE,
  KVM_SEV_SNP_LAUNCH_FINISH,
  KVM_SEV_SNP_LAUNCH_START,
  KVM_SEV_SNP_LAUNCH_UPDATE,
  PAGE_SIZE,
  SNP_POLICY_RSVD_MBO,
  snpPageTypes,
} from '../../../abi/index.ts';
import type { Folio } from '../../memory.ts';
import { isAligned } from '../../ranges.ts';
import { type Call, copyBlob, issue, putBack, struct } from './call.ts';
import { SNP_POLICY_BITS, SnpContext } from './firmware.ts';

const TYPES: readonly number[] = Object.values(snpPageTypes);

export function launchStart(call: Call): number {
  const { guest } = call;
  if (!guest.isSnp) return -errno.ENOTTY;
  const values = struct(call, KVM_SEV_SNP_LAUNCH_START);
  if (!values) return -errno.EFAULT;
  const { policy, flags } = values;
  if (guest.context || flags !== 0) return -errno.EINVAL;
  if (policy & ~SNP_POLICY_BITS || !(policy & SNP_POLICY_RSVD_MBO)) return -errno.EINVAL;
  // Without the firmware there is no context, which KVM answers in its own way.
  if (!guest.vm.isDriverFile(call.fd)) return -errno.ENOTTY;
  const context = new SnpContext(call.fd);
  const refusal = issue(call, () => context.launchStart(policy));
  if (refusal === 0) guest.context = context;
  return refusal;
}

export function launchUpdate(call: Call): number {
  const { guest } = call;
  const { vm, context } = guest;
  if (!guest.isSnp || !context) return -errno.EINVAL;
  const values = struct(call, KVM_SEV_SNP_LAUNCH_UPDATE);
  if (!values) return -errno.EFAULT;
  const { gfn_start, uaddr, len, type, flags } = values;
  if (len === 0n || !isAligned(len) || flags !== 0 || !TYPES.includes(type)) return -errno.EINVAL;
  const isZero = type === snpPageTypes.zero;
  const hasSource = !isZero && uaddr !== 0n;
  if (!isZero && ((uaddr === 0n && !vm.convertsInPlace) || !isAligned(uaddr))) return -errno.EINVAL;
  const gfn = Number(gfn_start);
  if (!vm.hasGuestMemfd(gfn)) return -errno.EINVAL;
  const pages = Number(len / BigInt(PAGE_SIZE));
  // What the firmware said is told only where not even the first page was taken.
  const inside: Call = { ...call, error: 0 };
  // Values of CPUID come back corrected, where the firmware refuses them.
  const source = hasSource ? { address: uaddr, writable: type === snpPageTypes.cpuid } : undefined;
  const done = vm.populate(gfn, pages, source, (at, folio, contents) => addPage(inside, at, folio, contents, isZero));
  if (done < 0) {
    call.error = inside.error;
    return -errno.EIO;
  }
  const bytes = BigInt(done) * BigInt(PAGE_SIZE);
  const moved = { gfn_start: gfn_start + BigInt(done), len: len - bytes, uaddr: hasSource ? uaddr + bytes : uaddr };
  return putBack(call, KVM_SEV_SNP_LAUNCH_UPDATE, { ...values, ...moved });
}

/** sev_gmem_post_populate(): a page that the firmware refuses is reclaimed. */
function addPage(
  call: Call,
  gfn: number,
  folio: Folio,
  source: Uint8Array | undefined,
  isZero: boolean,
): number | undefined {
  const { guest } = call;
  const { platform, context } = guest;
  if (platform.owner(folio)) return -errno.EEXIST;
  if (source) folio.bytes.set(source);
  if (isZero) folio.zero();
  platform.rmp.assign(folio.pfn!, gfn, guest.asid!, '4K');
  const refusal = issue(call, () => context!.launchUpdate());
  if (refusal === 0) {
    platform.validate(folio, { encrypted: true });
    return undefined;
  }
  platform.rmp.share(folio.pfn!, '4K');
  return refusal;
}

export function launchFinish(call: Call): number {
  const { guest } = call;
  const { context } = guest;
  if (!guest.isSnp) return -errno.ENOTTY;
  if (!context) return -errno.EINVAL;
  const values = struct(call, KVM_SEV_SNP_LAUNCH_FINISH);
  if (!values) return -errno.EFAULT;
  if (values.flags !== 0) return -errno.EINVAL;
  // The vCPUs are sealed first, whatever becomes of the rest.
  const unsealed = guest.sealVcpus(() => issue(call, () => context.launchUpdate()));
  if (unsealed !== 0) return unsealed;
  if (values.id_block_en !== 0) {
    const refusal =
      copyBlob(call, values.id_block_uaddr, KVM_SEV_SNP_ID_BLOCK_SIZE) ||
      copyBlob(call, values.id_auth_uaddr, KVM_SEV_SNP_ID_AUTH_SIZE);
    if (refusal !== 0) return refusal;
  }
  return issue(call, () => context.launchFinish(), context.fd);
}
