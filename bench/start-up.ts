/**
 * How long an empty server takes from the start of its process to its first reply, and how much memory it then has. Each run
 * is a new process on a new folder. With Apache ZooKeeper's scripts at hand (INTEROP_DIR), run them beside it for a ratio.
 *
 *     npm run bench
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const RUNS = 7;
const command = fileURLToPath(new URL('../../server/bin/zkserver.js', import.meta.url));

interface Measurement {
  readonly firstReplyMs: number;
  readonly residentMb: number;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

/** The answer to a four-letter word, or undefined if nobody listens. */
function ask(port: number, word: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    let answer = '';
    socket.on('connect', () => socket.write(word));
    socket.on('data', (bytes) => (answer += bytes.toString()));
    socket.on('error', () => resolve(undefined));
    socket.on('end', () => resolve(answer));
  });
}

async function measure(): Promise<Measurement> {
  const folder = await mkdtemp(join(tmpdir(), 'zkserver-bench-'));
  const port = await freePort();
  const file = join(folder, 'zoo.cfg');
  await writeFile(file, `dataDir=${folder}/data\nclientPort=${port}\nclientPortAddress=127.0.0.1\n`);
  const startedAt = performance.now();
  const server = spawn(process.execPath, [command, 'start-foreground', file], { stdio: 'ignore' });
  try {
    while (!(await ask(port, 'srvr'))?.includes('Mode: standalone')) {
      if (server.exitCode !== null) throw new Error(`the server exited with ${server.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const firstReplyMs = performance.now() - startedAt;
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
    return { firstReplyMs, residentMb: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024 };
  } finally {
    server.kill('SIGKILL');
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
    await rm(folder, { recursive: true });
  }
}

const row = (name: string, unit: string, values: readonly number[]): string => {
  const sorted = [...values].sort((a, b) => a - b);
  const [min, median, max] = [0, sorted.length >> 1, sorted.length - 1].map((i) =>
    (sorted[i] ?? Number.NaN).toFixed(0),
  );
  return `${name.padEnd(36)} ${min} / ${median} / ${max} ${unit}`;
};

await measure(); // once to warm the file cache
const measurements: Measurement[] = [];
for (let run = 0; run < RUNS; run++) measurements.push(await measure());
console.log(`an empty server, ${RUNS} runs, min / median / max`);
console.log(
  row(
    'process start to the first reply',
    'ms',
    measurements.map((m) => m.firstReplyMs),
  ),
);
console.log(
  row(
    'resident memory then',
    'MB',
    measurements.map((m) => m.residentMb),
  ),
);
