import { fileURLToPath } from 'node:url';
import { defineConfig } from 'rolldown';

const project = (path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * Programs for emulated machines, which take longer to find hundreds of modules than to run them. The files lie as deep
 * below the project's folder as lib/syscalls, from where the addon is looked for.
 */
export default defineConfig({
  input: {
    gmem: project('lib/cli/gmem.ts'),
    differential: project('test/differential/main.ts'),
    'memory-error': project('scripts/lab/cases/memory-error.mjs'),
    'vcpu-rare-exits': project('scripts/lab/cases/vcpu-rare-exits.mjs'),
    'vfio-lent-device': project('scripts/lab/cases/vfio-lent-device.mjs'),
  },
  resolve: {
    alias: { 'guest-memfd/abi': project('lib/abi/index.ts'), 'guest-memfd/selftest': project('lib/cli/script.ts') },
  },
  platform: 'node',
  transform: { target: 'node20.19' },
  output: { dir: project('.cache/bundle'), format: 'esm', cleanDir: true, chunkFileNames: '[name].js' },
});
