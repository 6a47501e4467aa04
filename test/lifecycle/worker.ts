/** What worker threads run: a host that is left to the thread's end. */

/** `index` is the library's URL. Posts one message: `ready` with what it found, or `failed` with the error's code. */
export const workerSource = (index: string): string => `
  import { parentPort, workerData } from 'node:worker_threads';
  const { openHost } = await import(${JSON.stringify(index)});
  try {
    const host = await openHost({ backend: workerData.backend });
    const vm = await host.createVm();
    const gmem = await vm.createGuestMemfd({ size: 0x4000, mmap: true, initially: 'shared' });
    const map = await gmem.map();
    await map.write(0, Uint8Array.of(workerData.byte));
    const [byte] = await map.read(0, 1);
    if (workerData.close) await host.close();
    parentPort.postMessage({ ready: true, byte, backend: host.backend, extension: workerData.close ? 1 : await vm.checkExtension(3) });
    if (!workerData.close) setInterval(() => void vm.checkExtension(3), 1);
  } catch (error) {
    parentPort.postMessage({ failed: error.code, message: error.message });
  }
`;
