#!/usr/bin/env node
/** An exit that needs more of KVM than the package drives, and so has no case that runs on the mock too. */

import { selftest } from 'guest-memfd/selftest';

/** KVM_SET_MSRS, of one entry: the count, then index and value. */
const KVM_SET_MSRS = 0x4008_ae89;
const HV_X64_MSR_RESET = 0x4000_0003;
const KVM_SYSTEM_EVENT_RESET = 2;

await selftest([
  {
    name: 'vcpu_exit_system_event',
    about: 'A reset asked for through the Hyper-V MSR exits with KVM_EXIT_SYSTEM_EVENT (kvm_hv_set_msr_pw()).',
    requires: { guest: true },
    async run(t) {
      const vm = await t.vm();
      const vcpu = await vm.createVcpu();
      t.defer(() => vcpu.close());
      const msrs = new Uint8Array(24);
      const view = new DataView(msrs.buffer);
      view.setUint32(0, 1, true);
      view.setUint32(8, HV_X64_MSR_RESET, true);
      view.setBigUint64(16, 1n, true);
      const set = await t.host.raw.tryIoctl(vcpu, KVM_SET_MSRS, msrs);
      if (!set.ok || set.ret !== 1) t.skip('needs KVM with CONFIG_KVM_HYPERV=y: the reset MSR is not known');
      const exit = await vcpu.run();
      t.equal([exit.reason, exit.type], ['system-event', KVM_SYSTEM_EVENT_RESET], 'the exit');
    },
  },
]);
