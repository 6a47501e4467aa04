/** Memory of the process that guests of SEV use: registered, it is pinned. */

import {
  KVM_MEMORY_ENCRYPT_REG_REGION,
  KVM_MEMORY_ENCRYPT_UNREG_REGION,
  KVM_SEV_INIT2,
  PAGE_SIZE,
} from '../../abi/index.ts';
import { endOfMemory } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { CONVERTS } from '../conversion.ts';
import { Scenario } from '../scenario.ts';
import { SevWorld } from '../sev-world.ts';
import { privateVmType } from '../unmet.ts';

const P = BigInt(PAGE_SIZE);

const region = defineCase({
  name: 'sev-regions',
  about:
    'Memory of the process is registered as it is, page aligned or not, and taken back by the same address and size ' +
    '(sev_mem_enc_register_region(), _unregister_region()).',
  requires: { vmType: 'sev' },
  async run(t) {
    const w = await SevWorld.create(t, 'sev');
    const { raw } = t.host;
    const add = (addr: bigint, size: bigint) => raw.tryIoctl(w.vm, KVM_MEMORY_ENCRYPT_REG_REGION, { addr, size });
    const remove = (addr: bigint, size: bigint) => raw.tryIoctl(w.vm, KVM_MEMORY_ENCRYPT_UNREG_REGION, { addr, size });
    t.fails(await add(w.memory, P), 'ENOTTY', 'before init');
    t.fails(await remove(w.memory, P), 'ENOTTY', 'taking back before init');
    await w.done(KVM_SEV_INIT2);
    t.fails(await add(w.memory, 0n), 'EINVAL', 'of no size');
    t.fails(await add(w.memory, 0xffff_ffff_ffff_ffffn), 'EINVAL', 'one that wraps');
    t.fails(await add(w.memory, 1n << 62n), 'EINVAL', 'one larger than memory');
    t.fails(await add(P, P), 'ENOMEM', 'where nothing is');
    t.equal(t.succeeds(await add(w.memory + 5n, P), 'two pages in part').ret, 0, 'what it returns');
    t.succeeds(await add(w.memory, P), 'one that overlaps');
    t.succeeds(await add(await endOfMemory(t, new Uint8Array(PAGE_SIZE)), P), 'memory that can only be read');
    t.fails(await remove(w.memory + 5n, P - 1n), 'EINVAL', 'taking back another size');
    t.fails(await remove(w.memory + 4n, P), 'EINVAL', 'taking back another address');
    t.equal(t.succeeds(await remove(w.memory + 5n, P), 'taking back the first').ret, 0, 'what it returns');
    t.fails(await remove(w.memory + 5n, P), 'EINVAL', 'taking back the first again');
    t.succeeds(await remove(w.memory, P), 'taking back the second');
    const plain = await t.unlaunchedVm('default');
    const none = await raw.tryIoctl(plain, KVM_MEMORY_ENCRYPT_REG_REGION, { addr: w.memory, size: P });
    t.fails(none, 'ENOTTY', 'on a VM that is no guest of SEV');
  },
});

const held = defineCase<'taken-back' | 'with-its-vm'>({
  name: 'sev-region-of-shared-pages',
  about:
    'A guest’s registered memory is pinned until it is taken back, or its VM goes: shared pages of a guest_memfd stay ' +
    'shared (EAGAIN) as for any other pin (pin_user_pages(), FOLL_LONGTERM).',
  requires: { ...CONVERTS, vmType: 'sev' },
  variants: { 'taken-back': 'taken-back', 'with-its-vm': 'with-its-vm' },
  async run(t, how) {
    if (privateVmType(t.host) === undefined) t.skip('needs a VM type with private memory beside sev');
    const s = await Scenario.create(t, { pages: 4 });
    const w = await SevWorld.create(t, 'sev');
    await w.done(KVM_SEV_INIT2);
    const { raw } = t.host;
    const values = { addr: s.mapping.address + P + 8n, size: P };
    t.succeeds(await raw.tryIoctl(w.vm, KVM_MEMORY_ENCRYPT_REG_REGION, values), 'registering shared pages');
    const convert = () => s.gmem.tryConvert({ offset: 0, size: 4 * PAGE_SIZE, to: 'private' });
    const refused = t.fails(await convert(), 'EAGAIN', 'making them private');
    t.equal(refused.errorOffset, P, 'the first page that is held');
    if (how === 'with-its-vm') await w.vm.close();
    else t.succeeds(await raw.tryIoctl(w.vm, KVM_MEMORY_ENCRYPT_UNREG_REGION, values), 'taking it back');
    t.succeeds(await convert(), 'making them private afterwards');
  },
});

export const cases: readonly AnyCase[] = [region, held];
