import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Address } from 'zookeeper-server-ts';
import { FileDisk } from '../../server/src/node/file-disk.ts';
import { SystemClock } from '../../server/src/node/system-clock.ts';
import { TcpNetwork } from '../../server/src/node/tcp.ts';
import { MemoryDisk } from '../../server/src/storage/memory-disk.ts';
import { clockConformance } from './clock.ts';
import { diskConformance } from './disk.ts';
import { realMachine, steppedMachine } from './machine.ts';
import { networkConformance, type Peer } from './network.ts';

diskConformance('files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
  return { disk: new FileDisk(folder), machine: realMachine, release: () => rmSync(folder, { recursive: true }) };
});

diskConformance('memory', () => {
  const queue: (() => void)[] = [];
  const machine = steppedMachine(() => {
    const run = queue.shift();
    run?.();
    return run !== undefined;
  });
  return { disk: new MemoryDisk({ soon: (run) => queue.push(run) }), machine };
});

clockConformance('system', () => ({ clock: new SystemClock(), machine: realMachine }));

networkConformance('TCP', () => {
  const release: (() => void)[] = [];
  const dial = ({ host, port }: Address): Peer => {
    const socket = createConnection({ host, port });
    const chunks: Buffer[] = [];
    let closed = false;
    socket.on('data', (bytes) => chunks.push(bytes));
    socket.on('close', () => {
      closed = true;
    });
    // A refused connection is closed as well, which is what the suite looks at.
    socket.on('error', () => undefined);
    release.push(() => socket.destroy());
    return {
      write: (bytes) => socket.write(bytes),
      end: () => socket.end(),
      received: () => Buffer.concat(chunks),
      pause: () => socket.pause(),
      resume: () => socket.resume(),
      closed: () => closed,
    };
  };
  return {
    network: new TcpNetwork(),
    machine: realMachine,
    address: { host: '127.0.0.1', port: 0 },
    dial,
    release: () => {
      for (const each of release) each();
    },
  };
});
