/** What a kernel that was not made for the lab has as modules: which are taken, in which order, and where they are. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findModules, modulesFrom } from '../../scripts/lab/machine/modules.mjs';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'modules-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const module = (depends: string): Buffer => Buffer.from(`\x7fELF\0license=GPL\0depends=${depends}\0name=it\0`);

function file(path: string, data: Uint8Array): string {
  const at = join(root, path);
  mkdirSync(dirname(at), { recursive: true });
  writeFileSync(at, data);
  return at;
}

/** As much of a bzImage as tells its release. */
function image(path: string, release: string): string {
  const bytes = Buffer.alloc(0x1000);
  bytes.write('HdrS', 0x202, 'latin1');
  bytes.writeUInt16LE(0x300, 0x20e);
  bytes.write(`${release} (somebody@somewhere) #1\0`, 0x500, 'latin1');
  return file(path, bytes);
}

describe('modules that are taken', () => {
  it('are those a machine needs and those under test, each after what it needs itself', () => {
    file('m/kernel/fs/9p/9p.ko', module('9pnet,netfs'));
    file('m/kernel/net/9p/9pnet.ko', module(''));
    file('m/kernel/net/9p/9pnet_virtio.ko', module('9pnet,virtio-ring'));
    file('m/kernel/drivers/virtio/virtio_ring.ko', module(''));
    file('m/kernel/fs/netfs/netfs.ko', module(''));
    file('m/kernel/arch/x86/kvm/kvm-amd.ko', module('kvm'));
    file('m/kernel/arch/x86/kvm/kvm.ko', module(''));
    file('m/kernel/drivers/net/other.ko', module(''));
    expect(modulesFrom(join(root, 'm')).map(({ name }) => name)).toEqual([
      ...['9pnet', 'virtio_ring', '9pnet_virtio', 'netfs', '9p'],
      ...['kvm', 'kvm_amd'],
    ]);
  });

  it('are unpacked', () => {
    const data = module('');
    file('m/kernel/a/overlay.ko.gz', gzipSync(data));
    file('m/kernel/b/9p.ko.xz', execFileSync('xz', ['-c'], { input: data }));
    expect(modulesFrom(join(root, 'm'))).toEqual([
      { name: '9p', data },
      { name: 'overlay', data },
    ]);
  });

  it('come from the folder of one kernel', () => {
    expect(() => modulesFrom(root)).toThrow(/no modules in .*: it has to be the kernel's own folder of \/lib\/modules/);
    file('m/kernel/a/overlay.ko.xz', Buffer.from('no xz'));
    expect(() => modulesFrom(join(root, 'm'))).toThrow(/cannot unpack .*overlay\.ko\.xz with xz/);
  });
});

describe('an image finds its modules', () => {
  it('as a package has them', () => {
    const boot = image('pkg/boot/vmlinuz-9.9.9-x', '9.9.9-x');
    expect(findModules(boot)).toBeUndefined();
    file('pkg/lib/modules/9.9.9-x/kernel/a.ko', module(''));
    expect(findModules(boot)).toBe(join(root, 'pkg/lib/modules/9.9.9-x'));
  });

  it('among them, but not those of another', () => {
    file('pkg/lib/modules/9.9.9-x/kernel/a.ko', module(''));
    expect(findModules(image('pkg/lib/modules/9.9.9-x/vmlinuz', '9.9.9-x'))).toBe(
      join(root, 'pkg/lib/modules/9.9.9-x'),
    );
    expect(findModules(image('pkg/lib/modules/9.9.9-x/other', '9.9.8'))).toBeUndefined();
  });

  it('not where it is no bzImage', () => {
    expect(findModules(file('vmlinux', Buffer.from('\x7fELF')))).toBeUndefined();
  });
});
