/** The command `zkserver`, as an operator uses it: in a process of its own. Runs what `npm run build` made. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CreateMode, ErrorCode, OPEN_ACL, operations } from 'zookeeper-protocol-ts';
import { RawConnection } from './raw-connection.ts';

const command = fileURLToPath(new URL('../../server/bin/zkserver.js', import.meta.url));

interface Run {
  readonly process: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<number | null>;
}

let folder: string;
let runs: Run[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zkserver-command-'));
  runs = [];
});

afterEach(async () => {
  for (const { process, ended } of runs) {
    process.kill('SIGKILL');
    await ended;
  }
  await rm(folder, { recursive: true });
});

function run(args: readonly string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, [command, ...args], { cwd: folder, env: { ...process.env, ...env } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += String(bytes)));
  const started: Run = {
    process: child,
    output: () => output,
    ended: once(child, 'close').then(([code]) => code as number | null),
  };
  runs.push(started);
  return started;
}

async function zooCfg(...lines: string[]): Promise<string> {
  const file = join(folder, 'zoo.cfg');
  await writeFile(
    file,
    [`dataDir=${join(folder, 'data')}`, 'clientPortAddress=127.0.0.1', 'tickTime=200', ...lines, ''].join('\n'),
  );
  return file;
}

/** The port that a server says it serves on. */
async function portOf({ output, process: child }: Run): Promise<number> {
  for (;;) {
    const port = /serving on \S+:(\d+)/.exec(output())?.[1];
    if (port !== undefined) return Number(port);
    if (child.exitCode !== null) throw new Error(output());
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('zkserver start-foreground', () => {
  it('serves, and stops cleanly when it is asked to', async () => {
    const server = run(['start-foreground', await zooCfg('clientPort=0')]);
    const connection = await RawConnection.open(await portOf(server));
    expect((await connection.connect()).timeoutMs).toBe(4000);
    server.process.kill('SIGTERM');
    expect(await server.ended).toBe(0);
    await connection.closed;
  });

  it('loses no acknowledged write when it is killed', async () => {
    const file = await zooCfg('clientPort=0');
    const acknowledged: string[] = [];
    for (let round = 0; round < 3; round++) {
      const server = run(['start-foreground', file]);
      const { connection } = await RawConnection.withSession(await portOf(server));
      const killed = server.ended;
      const writes = Array.from({ length: 400 }, async (_, i) => {
        const path = `/r${round}-${i}`;
        const reply = await connection.call(operations.create, {
          path,
          data: Buffer.from(path),
          acl: OPEN_ACL,
          flags: CreateMode.PERSISTENT,
        });
        if (reply.err === ErrorCode.OK) acknowledged.push(path);
        // In the middle of the stream, with writes in every stage of the pipeline.
        if (i === 150) server.process.kill('SIGKILL');
      });
      await Promise.allSettled(writes);
      await killed;
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(3 * 151);
    const server = run(['start-foreground', file]);
    const { connection } = await RawConnection.withSession(await portOf(server));
    for (const path of acknowledged) {
      const { err, body } = await connection.call(operations.getData, { path, watch: false });
      expect([path, err, body?.data?.toString()]).toEqual([path, ErrorCode.OK, path]);
    }
    connection.destroy();
  });

  it('names settings that it does not understand, and takes Java properties from JVMFLAGS', async () => {
    const file = await zooCfg('clientPort=0', 'autopurge.purgeInterval=1', '4lw.commands.whitelist=ruok');
    const server = run(['start-foreground', file], { JVMFLAGS: '-Xmx1g -Djute.maxbuffer=2000' });
    const port = await portOf(server);
    expect(server.output()).toContain(`${file}:5: autopurge.purgeInterval`);
    const connection = await RawConnection.open(port);
    connection.write(Buffer.from([0, 0, 0x07, 0xd1]));
    await connection.closed;
    const word = await RawConnection.open(port, { framed: false });
    word.write(Buffer.from('ruok'));
    await word.closed;
    expect(word.text).toBe('imok');
  });

  it.each([
    ['a value that is not a number', ['clientPort=2181', 'maxClientCnxns=many'], /zoo\.cfg:5: maxClientCnxns: "many"/],
    ['a missing port', [], /zoo\.cfg: clientPort is not set/],
    ['an ensemble', ['clientPort=2181', 'server.1=a:2888:3888'], /zoo\.cfg:5: server\.1: .*ensemble/],
  ])('refuses %s with one line that names file, line and key', async (_what, settings, message) => {
    const server = run(['start-foreground', await zooCfg(...settings)]);
    expect(await server.ended).toBe(2);
    expect(server.output()).toMatch(message);
    expect(server.output().trim().split('\n')).toHaveLength(1);
  });

  it('refuses a port that is in use, naming the line that asks for it', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const server = run(['start-foreground', await zooCfg(`clientPort=${port}`)]);
    expect(await server.ended).toBe(1);
    other.close();
    expect(server.output()).toMatch(/zoo\.cfg:4: clientPort: .*EADDRINUSE/);
  });

  it('refuses a data folder that it can not use, naming the line', async () => {
    await mkdir(join(folder, 'data'));
    await writeFile(join(folder, 'data', 'version-2'), 'a file where a folder should be');
    const server = run(['start-foreground', await zooCfg('clientPort=0')]);
    expect(await server.ended).toBe(3);
    expect(server.output()).toMatch(/zoo\.cfg:1: dataDir: .*version-2/);
  });

  it('refuses a file that is not there', async () => {
    const server = run(['start-foreground', 'missing.cfg']);
    expect(await server.ended).toBe(2);
    expect(server.output()).toMatch(/^missing\.cfg: .*ENOENT/);
  });
});

describe('zkserver', () => {
  it('refuses what it does not know with its usage, and says what is not there yet', async () => {
    const [unknown, later] = [run(['frobnicate']), run(['status'])];
    expect([await unknown.ended, await later.ended]).toEqual([2, 2]);
    expect(unknown.output()).toContain('usage: zkserver start-foreground');
    expect(later.output()).toContain('not there yet');
  });
});
