/** The command `zkcli`, as a user has it: in a process of its own, on our server. Runs what `npm run build` made. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect } from 'zookeeper-client-ts';
import { TestingServer } from 'zookeeper-server-ts/testing';

const command = fileURLToPath(new URL('../../client/bin/zkcli.js', import.meta.url));

let server: TestingServer;
const running = new Set<ChildProcessWithoutNullStreams>();

beforeAll(async () => {
  server = await TestingServer.start();
});

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
});

afterAll(async () => {
  await server.close();
});

interface Run {
  readonly child: ChildProcessWithoutNullStreams;
  readonly said: { out: string; err: string };
  readonly ended: Promise<number | null>;
}

function start(...words: string[]): Run {
  const child = spawn(process.execPath, [command, ...words]);
  running.add(child);
  const said = { out: '', err: '' };
  child.stdout.on('data', (bytes) => {
    said.out += String(bytes);
  });
  child.stderr.on('data', (bytes) => {
    said.err += String(bytes);
  });
  const ended = once(child, 'close').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  return { child, said, ended };
}

/** One command, to its end. */
async function zkcli(...words: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const { said, ended, child } = start('-server', server.connectString, ...words);
  child.stdin.end();
  return { code: await ended, ...said };
}

const GREETING = (at: string) => `Connecting to ${at}\nWelcome to ZooKeeper!\n`;
const CONNECTED = '\nWATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null\n';

/** Lines through a pipe. Of what is said, only what the commands say. */
async function pipe(...lines: string[]): Promise<{ code: number | null; out: string[]; err: string[] }> {
  const { said, ended, child } = start('-server', server.connectString);
  child.stdin.end(`${lines.join('\n')}\n`);
  const code = await ended;
  const out = said.out.replace(GREETING(server.connectString), '').replace(CONNECTED, '');
  return { code, out: out.split('\n').slice(0, -1), err: said.err.split('\n').slice(0, -1) };
}

describe('one command', () => {
  it('is done, and ends with exit code 0', async () => {
    expect(await zkcli('create', '/one', 'two words')).toMatchObject({ code: 0, err: 'Created /one\n' });
    expect(await zkcli('get', '/one')).toEqual({
      code: 0,
      out: `Connecting to ${server.connectString}\n${CONNECTED}two words\n`,
      err: '',
    });
  });

  it('fails with one line on stderr and exit code 1; one that there is not, with 127', async () => {
    expect(await zkcli('get', '/none')).toMatchObject({ code: 1, err: 'Node does not exist: /none\n' });
    const unknown = await zkcli('rmr', '/none');
    expect(unknown.code).toBe(127);
    expect(unknown.err).toMatch(/\tls \[-s\] \[-w\] \[-R\] path\n(.*\n)*Command not found: rmr\n$/);
  });

  it('leaves no session behind', async () => {
    expect(await zkcli('create', '-e', '/brief')).toMatchObject({ code: 0, err: 'Created /brief\n' });
    expect(await zkcli('stat', '/brief')).toMatchObject({ code: 1 });
    expect(server.sessions).toEqual([]);
  });

  it('with --json is one line on stdout, of an answer as of a failure', async () => {
    const answer = await zkcli('--json', 'ls', '/zookeeper');
    expect(JSON.parse(answer.out)).toMatchObject({ path: '/zookeeper', children: ['config', 'quota'] });
    const failure = await zkcli('--json', 'get', '/none');
    expect(failure.code).toBe(1);
    expect(JSON.parse(failure.out)).toEqual({
      error: { code: 'NO_NODE', message: 'Node does not exist: /none', path: '/none' },
    });
  });

  it('is refused with exit code 2 when the options make no sense', async () => {
    for (const words of [['-client-configuration', 'x'], ['-timeout', 'x'], ['-what'], ['-server']]) {
      const { ended, said, child } = start(...words);
      child.stdin.end();
      expect(await ended).toBe(2);
      expect(said.err).toMatch(/^.*\nusage: zkcli .*\n$/);
    }
  });

  it('says why when there is no server, at once or when it has waited long enough', async () => {
    for (const words of [[], ['-waitforconnection', '-timeout', '200']]) {
      const { ended, said, child } = start('-server', '127.0.0.1:1', ...words, 'get', '/x');
      child.stdin.end();
      expect(await ended).toBe(1);
      expect(said.err).toMatch(/^KeeperErrorCode = ConnectionLoss.*\(127\.0\.0\.1:1: connect ECONNREFUSED.*\)\n$/);
    }
  });
});

describe('lines from a pipe', () => {
  it('are greeted, and done in one session, which is closed behind them', async () => {
    const { said, ended, child } = start('-server', server.connectString);
    child.stdin.end('create -e /e x\ngetEphemerals\nget /none\n');
    expect(await ended).toBe(1);
    expect(said.out).toBe(`${GREETING(server.connectString)}${CONNECTED}[/e]\n`);
    expect(said.err).toBe('Created /e\nNode does not exist: /none\n');
    expect(server.sessions).toEqual([]);
  });

  it('make, list and take away quotas, but no quota below a quota', async () => {
    const { code, out, err } = await pipe(
      'create /q',
      'create /q/a 0123456789',
      'setquota -n 5 /q',
      'setquota -B 100 /q',
      'setquota -b 1 /q',
      'listquota /q',
      'setquota -n 5 /q/a',
      'delquota -b /q',
      'listquota /q',
      'delquota /q',
      'delquota /q',
      'setquota -n 5 /q/a',
      'setquota -N 5 /q',
      'setquota -n 0 /q/a',
      'setquota -n x /q/a',
      'setquota -n 1 -b 1 /q/a',
      'setquota /q/a',
      'setquota -n 1 /none',
      'setquota -n 1 /zookeeper/quota/q',
      'delquota /q/a',
      'ls /zookeeper/quota',
      'listquota /q/a',
      'deleteall /q',
    );
    expect(out).toEqual([
      '[Warning]: the bytes quota you create is less than the existing bytes:10',
      'Output quota for /q count=5,bytes=1=;byteHardLimit=100;countHardLimit=-1',
      'Output stat for /q count=2,bytes=10',
      'Output quota for /q count=5,bytes=-1=;byteHardLimit=100;countHardLimit=-1',
      'Output stat for /q count=2,bytes=10',
      'Quota does not exist for /q',
      '[]',
    ]);
    expect(err).toEqual([
      'Created /q',
      'Created /q/a',
      'absolute path is /zookeeper/quota/q/zookeeper_limits',
      '/q/a has a parent /q which has a quota',
      'absolute path is /zookeeper/quota/q/zookeeper_limits',
      '/q has a child /q/a which has a quota',
      'the num quota must be greater than zero',
      'a quota must be a number: x',
      "-n and -b can't be given together",
      'Missing required option: one of -n, -b, -N, -B',
      '/none does not exist.',
      'cannot set a quota under the path: /zookeeper/quota',
      'absolute path is /zookeeper/quota/q/a/zookeeper_limits',
      'quota for /q/a does not exist.',
    ]);
    expect(code).toBe(0);
  });

  it('set rights on one znode or a whole tree, and tell which znodes refused', async () => {
    const { code, out, err } = await pipe(
      'create /r',
      'create /r/a',
      'create /r/b x world:anyone:cdrw',
      'addauth digest bob:secret',
      'whoami',
      'setAcl -R /r world:anyone:cdra',
      'getAcl /r/a',
      'setAcl /r world:anyone:r,foo',
      'setAcl -v 7 /r world:anyone:r',
      'create /r/x y world:anyone:rz',
      'deleteall /r',
    );
    expect(out).toEqual(['Auth scheme: User', 'ip: 127.0.0.1', 'digest: bob', "'world,'anyone", ': cdra']);
    expect(err).toEqual([
      'Created /r',
      'Created /r/a',
      'Created /r/b',
      'Insufficient permission : /r/b',
      'foo does not have the form scheme:id:perm',
      'version No is not valid : /r',
      'Unknown perm type: z',
    ]);
    expect(code).toBe(0);
  });

  it('delete trees in batches, and say when something is left', async () => {
    const { code, out, err } = await pipe(
      'create /d',
      'create /d/a',
      'create /d/a/b',
      'create /d/c',
      'deleteall /d/a -b 1',
      'ls -R /d',
      'deleteall -b 0 /d',
      'deleteall /none',
      'deleteall /d',
      'deleteall /',
    );
    expect(out).toEqual(['/d', '/d/c']);
    expect(err.slice(4)).toEqual([
      '-b argument must be at least 1',
      'Node does not exist: /none',
      'Failed to delete some node(s) in the subtree!',
    ]);
    expect(code).toBe(1);
  });

  it('check what reconfig is given before anything is asked for', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zkcli-'));
    try {
      const file = join(folder, 'members');
      await writeFile(file, '# members\nserver.1=a:1:2;3\nserver.2=b:1:2;3\n');
      await writeFile(`${file}.wrong`, 'server.1=a:1:2;3\ntickTime=7\n');
      const { code, err } = await pipe(
        'reconfig',
        'reconfig -v zz -remove 1',
        'reconfig -add server.2=a:1:2;3 -file x',
        'reconfig -members server.2=a:1:2;3 -file x',
        `reconfig -file ${folder}/none`,
        `reconfig -file ${file}.wrong`,
        `reconfig -v a -file ${file}`,
        'reconfig -remove 1',
      );
      expect(err[0]).toMatch(/^reconfig \[-s\]/);
      expect(err.slice(1)).toEqual([
        '-v must be followed by a long (configuration version)',
        "Can't use -file or -members together with -add or -remove (mixing incremental and non-incremental modes is not allowed)",
        "Can't use -file and -members together (conflicting non-incremental modes)",
        expect.stringMatching(/^Error processing .*none: ENOENT/),
        `Error processing ${file}.wrong: no member of an ensemble: tickTime=7`,
        'KeeperErrorCode = Reconfig is disabled for /zookeeper/config',
        'KeeperErrorCode = Reconfig is disabled for /zookeeper/config',
      ]);
      expect(code).toBe(1);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('have watches of all kinds, which can be taken away again', async () => {
    const { out, err } = await pipe(
      'create /w',
      'addWatch -m persistent /w',
      'set /w x',
      'create /w/a',
      'removewatches /w',
      'set /w y',
      'removewatches /w',
      'ls -w /w',
      'removewatches -d /w',
      'removewatches -c -l /w',
      'addWatch -m often /w',
      'ls -R -w /w',
      'delete /w/a',
    );
    const events = out.filter((line) => line.startsWith('WatchedEvent'));
    expect(events).toEqual([
      'WatchedEvent state:SyncConnected type:NodeDataChanged path:/w',
      'WatchedEvent state:SyncConnected type:NodeChildrenChanged path:/w',
      'WatchedEvent state:SyncConnected type:PersistentWatchRemoved path:/w',
      'WatchedEvent state:SyncConnected type:ChildWatchRemoved path:/w',
      'WatchedEvent state:SyncConnected type:NodeDeleted path:/w/a',
      'WatchedEvent state:SyncConnected type:NodeChildrenChanged path:/w',
    ]);
    expect(err.filter((line) => line.startsWith('KeeperErrorCode'))).toEqual([
      'KeeperErrorCode = No such watcher for /w',
      'KeeperErrorCode = No such watcher for /w',
    ]);
    expect(err.at(-1)).toMatch(/^addWatch \[-m mode\] path/);
  });

  it('end the process with quit, though the pipe stays open', async () => {
    const { child, ended, said } = start('-server', server.connectString);
    child.stdin.write('ls /none\nquit\n');
    expect(await ended).toBe(1);
    expect(said.out).toMatch(/WatchedEvent state:Closed type:None path:null\n$/);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('end at %s, and the session with them', async (signal) => {
    const { child, ended, said } = start('-server', server.connectString);
    child.stdin.write('create -e /held x\n');
    await expect.poll(() => said.err).toContain('Created /held');
    child.kill(signal);
    expect(await ended).toBe(signal === 'SIGTERM' ? 143 : 130);
    expect(server.sessions).toEqual([]);
  });

  it('are no failure when nobody reads what they say any more', async () => {
    const { child, ended, said } = start('-server', server.connectString);
    child.stdin.write('ls /\n');
    await expect.poll(() => said.out).toContain(']\n');
    child.stdout.destroy();
    for (let i = 0; i < 100; i++) child.stdin.write('ls -R /\n');
    child.stdin.end();
    expect(await ended).toBe(0);
    expect(said.err).toBe('');
  });

  it('go on after an outage in the same session, and after an expiry with connect', async () => {
    const { child, ended, said } = start('-server', server.connectString, '-timeout', '5000');
    child.stdin.write('create -e /mine x\n');
    await expect.poll(() => said.err).toContain('Created /mine');
    server.dropConnections();
    await expect.poll(() => said.out).toMatch(/state:Disconnected(.|\n)*state:SyncConnected/);
    child.stdin.write('getEphemerals\n');
    await expect.poll(() => said.out).toContain('[/mine]');
    const [session] = server.sessions;
    if (session === undefined) throw new Error('no session');
    await server.expireSession(session);
    await expect.poll(() => said.out).toContain('state:Expired');
    child.stdin.end('ls /\nconnect\nstat /mine\n');
    expect(await ended).toBe(1);
    expect(said.err).toMatch(/Not connected\nNode does not exist: \/mine\n$/);
  });
});

describe('data', () => {
  it('of others are shown as they are, whatever they are', async () => {
    await using client = await connect(server.connectString);
    await client.create('/binary', { data: Buffer.from([0xff, 0x00]) });
    await client.create('/lines', { data: 'one\ntwo' });
    expect((await pipe('get /lines')).out).toEqual(['one', 'two']);
    const { out } = await zkcli('--json', 'get', '/binary');
    expect(JSON.parse(out)).toMatchObject({ path: '/binary', dataBase64: '/wA=' });
  });
});
