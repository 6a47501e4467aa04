#!/usr/bin/env node
/** A device that is lent to VFIO goes back to its driver however the process that borrowed it ends. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { selftest } from 'guest-memfd/selftest';

const DRIVERS = '/sys/bus/pci/drivers';
const E1000 = 0x100e;

/** @param {string} address */
function driverOf(address) {
  try {
    return readlinkSync(`/sys/bus/pci/devices/${address}/driver`).split('/').at(-1);
  } catch {
    return undefined;
  }
}

/** @param {string} address @param {string | undefined} driver */
async function hasDriver(address, driver) {
  for (let i = 0; i < 200 && driverOf(address) !== driver; i++) await sleep(50);
  return driverOf(address);
}

/** @param {string} path @param {string} text */
const write = (path, text) => writeFileSync(path, text);

/** A process that borrows the device, opens it, and says so. @param {string} address @param {string} does */
function borrower(address, does) {
  const program = `
    import { openHost } from 'guest-memfd';
    const host = await openHost({ backend: 'native' });
    const lent = await host.vfio.bind('${address}', { unbind: true });
    const iommufd = await host.iommufd();
    const ioas = await iommufd.allocIoas();
    const device = await host.vfio.openDevice(lent.address, { iommufd });
    await device.attach(ioas);
    await (await device.region('bar0')).map();
    console.log('lent');
    ${does}
  `;
  return spawn(process.execPath, [...process.execArgv, '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

const FOREVER = 'setInterval(() => {}, 1000);';
const ends = {
  'it-closes': { does: 'await host.close();', signal: undefined },
  'it-forgets': { does: 'process.exit();', signal: undefined },
  'ctrl-c': { does: FOREVER, signal: 'SIGINT' },
  sigkill: { does: FOREVER, signal: 'SIGKILL' },
};

await selftest([
  {
    name: 'vfio_lent_device',
    about: 'The e1000 driver has its device back after the borrower closed it, exited, or was killed.',
    requires: { iommufd: true },
    variants: ends,
    /** @param {import('guest-memfd/selftest').T} t @param {(typeof ends)[keyof typeof ends]} variant */
    async run(t, { does, signal }) {
      const device = (await t.host.vfio.devices()).find((found) => found.device === E1000);
      if (!device) return t.skip('needs an e1000: lab run --device e1000');
      const { address } = device;
      // The lab gave it to vfio-pci.
      if (driverOf(address) === 'vfio-pci') {
        write(`${DRIVERS}/vfio-pci/unbind`, address);
        write(`/sys/bus/pci/devices/${address}/driver_override`, '\n');
        write(`${DRIVERS}/e1000/bind`, address);
      }
      t.equal(driverOf(address), 'e1000', 'the driver at first');
      await t.throws(() => t.host.vfio.bind(address), 'ERR_DEVICE_IN_USE', 'borrowing it from its driver unasked');
      const child = borrower(address, does);
      const gone = once(child, 'exit');
      await Promise.race([once(child.stdout, 'data'), gone]);
      if (signal) {
        t.equal(driverOf(address), 'vfio-pci', 'the driver while it is lent');
        child.kill(signal);
      }
      const [code, killedBy] = await gone;
      t.equal([code, killedBy], signal ? [null, signal] : [0, null], 'how the borrower ended');
      t.equal(await hasDriver(address, 'e1000'), 'e1000', 'the driver afterwards');
    },
  },
]);
