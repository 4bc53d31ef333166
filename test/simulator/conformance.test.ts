/** The simulated ports do what every implementation does; the suites are those that the real ones pass. */
import type { Address } from 'zookeeper-server-ts';
import { clockConformance } from '../conformance/clock.ts';
import { diskConformance } from '../conformance/disk.ts';
import type { Machine } from '../conformance/machine.ts';
import { networkConformance, type Peer } from '../conformance/network.ts';
import type { NetworkOptions } from './network.ts';
import { World } from './world.ts';

const PATIENCE_MS = 60_000;

const machineOf = (world: World): Machine => ({
  until: (condition) => world.runUntil(condition, { withinMs: PATIENCE_MS }),
});

let seed = 0;

clockConformance('simulated', () => {
  const world = new World({ seed: ++seed });
  return { clock: world.spawn('s1').clock, machine: machineOf(world) };
});

clockConformance('simulated, slow', () => {
  const world = new World({ seed: ++seed });
  return { clock: world.spawn('s1', { clock: { ratePpm: -50_000 } }).clock, machine: machineOf(world) };
});

diskConformance('simulated', () => {
  const world = new World({ seed: ++seed });
  return { disk: world.spawn('s1').disk(), machine: machineOf(world) };
});

/** A peer is a process of its own: it is paused by freezing it. */
const dialFrom =
  (world: World, dialled: { count: number }) =>
  ({ port }: Address): Peer => {
    const process = world.spawn(`c${++dialled.count}`);
    const chunks: Uint8Array[] = [];
    let closed = false;
    const connection = process.network.connect(
      { host: 's1', port },
      {
        onOpen: () => undefined,
        onBytes: (bytes) => chunks.push(bytes),
        onClose: () => {
          closed = true;
        },
      },
    );
    return {
      write: (bytes) => connection.write(bytes),
      end: () => connection.close(),
      received: () => Buffer.concat(chunks),
      pause: () => world.freeze(process),
      resume: () => world.thaw(process),
      closed: () => closed,
    };
  };

const networks: Record<string, Partial<NetworkOptions>> = {
  whole: { chop: 'whole', lossRate: 0.05 },
  'in single bytes': { chop: 'drip' },
  'cut anywhere': { chop: 'cut' },
  merged: { chop: 'merge', bytesPerMs: 10_000 },
  'a small window': { chop: 'whole', windowBytes: 4096 },
};

for (const [name, network] of Object.entries(networks)) {
  networkConformance(`simulated, ${name}`, () => {
    const world = new World({ seed: ++seed, network });
    const server = world.spawn('s1');
    return {
      network: server.network,
      machine: machineOf(world),
      address: { host: '0.0.0.0', port: 0 },
      dial: dialFrom(world, { count: 0 }),
    };
  });
}
