/** The command `zkserver`, as an operator uses it: in a process of its own. Runs what `npm run build` made. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ErrorCode, OPEN_ACL, operations } from 'zookeeper-protocol-ts';
import { RawConnection } from './raw-connection.ts';

const command = fileURLToPath(new URL('../../server/bin/zkserver.js', import.meta.url));

/** How often the server is killed under load: a few times, unless somebody wants to know. */
const KILLS = Number(process.env.KILLS ?? 3);

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
    [
      `dataDir=${join(folder, 'data')}`,
      'clientPortAddress=127.0.0.1',
      'tickTime=200',
      'preAllocSize=64',
      'admin.serverAddress=127.0.0.1',
      'admin.serverPort=0',
      ...lines,
      '',
    ].join('\n'),
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

/** The URL of the AdminServer's commands. */
async function adminUrlOf({ output }: Run): Promise<string> {
  for (;;) {
    const url = /AdminServer on (\S+)/.exec(output())?.[1];
    if (url !== undefined) return `http://${url}`;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  probe.close();
  await once(probe, 'close');
  return port;
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

  it(`loses no acknowledged write when it is killed, ${KILLS} times over (KILLS sets how often)`, {
    timeout: 20_000 + KILLS * 10_000,
  }, async () => {
    const file = await zooCfg('clientPort=0');
    const acknowledged: string[] = [];
    for (let round = 0; round < KILLS; round++) {
      const server = run(['start-foreground', file]);
      const { connection } = await RawConnection.withSession(await portOf(server));
      const killed = server.ended;
      // In the middle of a stream of writes, with some in every stage of the pipeline, each round at another place.
      let left = 100 + ((round * 37) % 300);
      const writeUntilKilled = async (writer: number): Promise<void> => {
        for (let i = 0; left > 0; i++) {
          const path = `/r${round}-${writer}-${i}`;
          const data = Buffer.from(path);
          const { err } = await connection.call(operations.create, { path, data, acl: OPEN_ACL, flags: 0 });
          if (err === ErrorCode.OK) acknowledged.push(path);
          if (--left === 0) server.process.kill('SIGKILL');
        }
      };
      await Promise.allSettled(Array.from({ length: 40 }, (_, writer) => writeUntilKilled(writer)));
      await killed;
    }
    const server = run(['start-foreground', file]);
    const { connection } = await RawConnection.withSession(await portOf(server), { timeoutMs: 4000 });
    const missing: string[] = [];
    for (const path of acknowledged) {
      const { err, body } = await connection.call(operations.getData, { path, watch: false });
      if (err !== ErrorCode.OK || body?.data?.toString() !== path) missing.push(path);
    }
    connection.destroy();
    console.info(`${KILLS} kills, ${acknowledged.length} acknowledged writes, ${missing.length} missing`);
    expect(acknowledged.length).toBeGreaterThanOrEqual(KILLS * 100);
    expect(missing).toEqual([]);
  });

  it('names settings that it does not understand, and takes Java properties from JVMFLAGS', async () => {
    const file = await zooCfg('clientPort=0', 'nonsense=1', '4lw.commands.whitelist=ruok');
    const server = run(['start-foreground', file], { JVMFLAGS: '-Xmx1g -Djute.maxbuffer=2000' });
    const port = await portOf(server);
    expect(server.output()).toContain(`${file}:8: nonsense`);
    const connection = await RawConnection.open(port);
    connection.write(Buffer.from([0, 0, 0x07, 0xd1]));
    await connection.closed;
    const word = await RawConnection.open(port, { framed: false });
    word.write(Buffer.from('ruok'));
    await word.closed;
    expect(word.text).toBe('imok');
  });

  it.each([
    ['a value that is not a number', ['clientPort=2181', 'maxClientCnxns=many'], /zoo\.cfg:8: maxClientCnxns: "many"/],
    ['a missing port', [], /zoo\.cfg: clientPort is not set/],
    [
      'a member without its number',
      ['clientPort=2181', 'server.1=a:2888:3888', 'server.2=b:2888:3888'],
      /myid: ENOENT/,
    ],
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
    expect(server.output()).toMatch(/zoo\.cfg:7: clientPort: .*EADDRINUSE/);
  });

  it('refuses a port of the AdminServer that is in use, naming the line, with the exit code of the original', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const server = run(['start-foreground', await zooCfg('clientPort=0', `admin.serverPort=${port}`)]);
    expect(await server.ended).toBe(4);
    other.close();
    expect(server.output()).toMatch(/zoo\.cfg:8: admin\.serverPort: the AdminServer on 127\.0\.0\.1:\d+ .*EADDRINUSE/);
  });

  it('refuses a data folder that is missing where it may not be made', async () => {
    const server = run(['start-foreground', await zooCfg('clientPort=0', 'datadir.autocreate=false')]);
    expect(await server.ended).toBe(3);
    expect(server.output()).toMatch(/zoo\.cfg:1: dataDir: .*the folder is missing, and datadir\.autocreate is false/);
  });

  it('answers an administrator over HTTP', async () => {
    const server = run(['start-foreground', await zooCfg('clientPort=0')]);
    const port = await portOf(server);
    const url = await adminUrlOf(server);
    const answer = await (await fetch(`${url}/configuration`)).json();
    expect(answer).toMatchObject({ client_port: port, tick_time: 200, command: 'configuration', error: null });
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

describe('zkserver start', () => {
  const zkserver = async (...args: string[]): Promise<{ code: number | null; output: string }> => {
    const { ended, output } = run(args);
    return { code: await ended, output: output() };
  };

  it('serves in the background until it is stopped; status says how it is', async () => {
    const file = await zooCfg(`clientPort=${await freePort()}`);
    const pidFile = join(folder, 'data', 'zookeeper_server.pid');
    try {
      expect(await zkserver('start', file)).toEqual({
        code: 0,
        output: `Using config: ${file}\nStarting zookeeper ... STARTED\n`,
      });
      expect(await readFile(join(folder, 'zookeeper.out'), 'utf8')).toContain('INFO  - serving on 127.0.0.1:');
      const pid = await readFile(pidFile, 'utf8');
      expect(pid).toMatch(/^\d+$/);

      const status = await zkserver('status', file);
      expect(status.code).toBe(0);
      expect(status.output).toMatch(/^Client port found: \d+\. Client address: 127\.0\.0\.1\. Client SSL: false\.$/m);
      expect(status.output).toMatch(/^Mode: standalone$/m);

      const again = await zkserver('start', file);
      expect(again).toMatchObject({ code: 1, output: expect.stringContaining(`already running as process ${pid}`) });

      expect(await zkserver('restart', file)).toMatchObject({
        code: 0,
        output: expect.stringMatching(/STOPPED\n.*STARTED/s),
      });
      expect(await readFile(pidFile, 'utf8')).not.toBe(pid);
    } finally {
      expect(await zkserver('stop', file)).toMatchObject({ code: 0, output: expect.stringContaining('STOPPED') });
    }
    expect(await readFile(join(folder, 'zookeeper.out'), 'utf8')).toMatch(/INFO {2}- stopped\n$/);
    await expect(readFile(pidFile)).rejects.toThrow('ENOENT');
    expect(await zkserver('status', file)).toMatchObject({
      code: 1,
      output: expect.stringContaining('Error contacting service. It is probably not running.'),
    });
    expect(await zkserver('stop', file)).toMatchObject({
      code: 0,
      output: expect.stringContaining(`no zookeeper to stop (could not find file ${pidFile})`),
    });
  });

  it('tells why a server does not start, and leaves no pid file', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const file = await zooCfg(`clientPort=${typeof address === 'object' ? address?.port : undefined}`);
    const { code, output } = await zkserver('start', file);
    other.close();
    expect(code).toBe(1);
    expect(output).toContain('FAILED TO START');
    expect(output).toMatch(/zoo\.cfg:7: clientPort: .*EADDRINUSE/);
    await expect(readFile(join(folder, 'data', 'zookeeper_server.pid'))).rejects.toThrow('ENOENT');
  });

  it('makes no data folder where none may be made', async () => {
    const file = await zooCfg('clientPort=0', 'datadir.autocreate=false');
    const missing = expect.stringContaining(`data directory is missing at ${join(folder, 'data')}`);
    expect(await zkserver('start', file)).toMatchObject({ code: 3, output: missing });
    await expect(readFile(join(folder, 'data'))).rejects.toThrow('ENOENT');
  });

  it('does not take a pid file that was left over for a server, and never signals that process', async () => {
    const file = await zooCfg(`clientPort=${await freePort()}`);
    await mkdir(join(folder, 'data'));
    // This very process: it runs, and is no server.
    await writeFile(join(folder, 'data', 'zookeeper_server.pid'), String(process.pid));
    expect(await zkserver('stop', file)).toMatchObject({ code: 0 });
    await writeFile(join(folder, 'data', 'zookeeper_server.pid'), String(process.pid));
    expect(await zkserver('start', file)).toMatchObject({ code: 0 });
    expect(await zkserver('stop', file)).toMatchObject({ code: 0 });
  });

  it('writes its run log where ZOO_LOG_DIR says, and prints the command that it runs', async () => {
    const file = await zooCfg('clientPort=0');
    const { ended, output } = run(['print-cmd', file], { ZOO_LOG_DIR: join(folder, 'log') });
    expect(await ended).toBe(0);
    expect(output()).toContain(
      `"${command}" "start-foreground" "${file}" >> "${join(folder, 'log', 'zookeeper.out')}"`,
    );
  });
});

describe('zkserver', () => {
  it('refuses what it does not know with its usage', async () => {
    const [unknown, withoutFile] = [run(['frobnicate']), run(['status'])];
    expect([await unknown.ended, await withoutFile.ended]).toEqual([2, 2]);
    expect(unknown.output()).toContain(
      'usage: zkserver {start|start-foreground|stop|restart|status|print-cmd|version}',
    );
    expect(withoutFile.output()).toContain('usage: zkserver');
  });
});
