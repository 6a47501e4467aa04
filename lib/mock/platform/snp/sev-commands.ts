/** KVM_MEMORY_ENCRYPT_OP on a host with SEV: arch/x86/kvm/svm/sev.c, sev_mem_enc_ioctl(), command by command. */

import { errno } from '../../../abi/errno.ts';
import {
  KVM_SEV_ES_INIT,
  KVM_SEV_GUEST_STATUS,
  KVM_SEV_INIT,
  KVM_SEV_INIT2,
  KVM_SEV_LAUNCH_FINISH,
  KVM_SEV_LAUNCH_MEASURE,
  KVM_SEV_LAUNCH_START,
  KVM_SEV_LAUNCH_UPDATE_DATA,
  KVM_SEV_LAUNCH_UPDATE_VMSA,
  KVM_SEV_SNP_ENABLE_REQ_CERTS,
  KVM_SEV_SNP_LAUNCH_FINISH,
  KVM_SEV_SNP_LAUNCH_START,
  KVM_SEV_SNP_LAUNCH_UPDATE,
  kvm_sev_cmd,
} from '../../../abi/index.ts';
import { KVM_X86_SEV_ES_VM, KVM_X86_SEV_VM, KVM_X86_SNP_VM } from '../../../abi/kvm.ts';
import type { UserMemory } from '../../process/index.ts';
import { type Answer, type Call, struct } from './call.ts';
import { VMSA_FEATURES } from './firmware.ts';
import {
  legacyFinish,
  legacyMeasure,
  legacyStart,
  legacyStatus,
  legacyUpdateData,
  legacyUpdateVmsa,
} from './legacy-launch.ts';
import type { SevGuest } from './sev-guest.ts';
import { launchFinish, launchStart, launchUpdate } from './snp-launch.ts';

const GHCB_VERSION_MAX = 2;

const COMMANDS: ReadonlyMap<number, Answer> = new Map<number, Answer>([
  // KVM_SEV_INIT and KVM_SEV_ES_INIT are for VMs of the default type, which this mock leaves as they are.
  [KVM_SEV_INIT.id, () => -errno.EINVAL],
  [KVM_SEV_ES_INIT.id, () => -errno.EINVAL],
  [KVM_SEV_INIT2.id, init2],
  [KVM_SEV_LAUNCH_START.id, legacyStart],
  [KVM_SEV_LAUNCH_UPDATE_DATA.id, legacyUpdateData],
  [KVM_SEV_LAUNCH_UPDATE_VMSA.id, legacyUpdateVmsa],
  [KVM_SEV_LAUNCH_MEASURE.id, legacyMeasure],
  [KVM_SEV_LAUNCH_FINISH.id, legacyFinish],
  [KVM_SEV_GUEST_STATUS.id, legacyStatus],
  [KVM_SEV_SNP_LAUNCH_START.id, launchStart],
  [KVM_SEV_SNP_LAUNCH_UPDATE.id, launchUpdate],
  [KVM_SEV_SNP_LAUNCH_FINISH.id, launchFinish],
  [KVM_SEV_SNP_ENABLE_REQ_CERTS.id, enableCerts],
]);

export function sevCommand(guest: SevGuest, user: UserMemory): number {
  const bytes = user.read(kvm_sev_cmd.size);
  // A null pointer asks whether there is SEV.
  if (!bytes) return user.value === 0n ? 0 : -errno.EFAULT;
  const { id, data, sev_fd: fd, error } = kvm_sev_cmd.decode(bytes);
  if (guest.isSnp && id < KVM_SEV_SNP_LAUNCH_START.id) return -errno.EPERM;
  const answer = COMMANDS.get(id);
  if (!answer) return -errno.EINVAL;
  const call: Call = { guest, data, fd, error };
  const result = answer(call);
  const back = kvm_sev_cmd.encode({ id, pad0: kvm_sev_cmd.decode(bytes).pad0, data, error: call.error, sev_fd: fd });
  return user.write(back) ? result : -errno.EFAULT;
}

/** __sev_guest_init(). */
function init2(call: Call): number {
  const { guest } = call;
  const { vm, platform } = guest;
  if (!guest.needsInitialization()) return -errno.EINVAL;
  const values = struct(call, KVM_SEV_INIT2);
  if (!values) return -errno.EFAULT;
  const { vmsa_features, flags, ghcb_version } = values;
  const encryptsState = vm.type === KVM_X86_SEV_ES_VM || vm.type === KVM_X86_SNP_VM;
  if (vm.createdVcpus > 0 || flags !== 0) return -errno.EINVAL;
  if (vmsa_features & ~(encryptsState ? VMSA_FEATURES : 0n)) return -errno.EINVAL;
  if (ghcb_version > GHCB_VERSION_MAX || (vm.type === KVM_X86_SEV_VM && ghcb_version !== 0)) return -errno.EINVAL;
  if (vm.type === KVM_X86_SNP_VM && ghcb_version === 1) return -errno.EINVAL;
  const asid = platform.asids.take();
  if (asid === undefined) return -errno.EBUSY;
  guest.asid = asid;
  return 0;
}

function enableCerts({ guest }: Call): number {
  return guest.vm.createdVcpus > 0 || !guest.isSnp ? -errno.EINVAL : 0;
}
