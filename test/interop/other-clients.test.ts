/**
 * Clients of other makes on our server: Apache ZooKeeper's own shell, Java Curator, kazoo and the C client, and Apache's log dumper on
 * the log that our server left when it was killed. The server runs in a process of its own, as `npm run build` made it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { whyNoApacheZooKeeper, whyNotWithout } from './apache-zookeeper.ts';

const interopDir = process.env.INTEROP_DIR ?? fileURLToPath(new URL('../../../shared/interop', import.meta.url));
const command = fileURLToPath(new URL('../../server/bin/zkserver.js', import.meta.url));
const SHELL_CLASS_PATH = '/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-nop.jar';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped, other clients on our server: ${missing}`);
const whyNot = missing ?? whyNotWithout('other clients on our server', ['/usr/share/java/curator-recipes.jar']);

let folder: string;
let server: ChildProcess;
let hosts: string;

async function startServer(): Promise<void> {
  const file = join(folder, 'zoo.cfg');
  await writeFile(
    file,
    `tickTime=500\ndataDir=${folder}/data\nclientPort=0\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n`,
  );
  server = spawn(process.execPath, [command, 'start-foreground', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  if (server.stderr === null) throw new Error('the server has no output');
  hosts = await new Promise<string>((resolve) => {
    createInterface({ input: server.stderr as NonNullable<typeof server.stderr> }).on('line', (line) => {
      const address = /serving on (\S+:\d+)/.exec(line)?.[1];
      if (address !== undefined) resolve(address);
    });
  });
}

async function killServer(): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  server.kill('SIGKILL');
  await once(server, 'exit');
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'other-clients-'));
  await startServer();
});

afterEach(async () => {
  await killServer();
  await rm(folder, { recursive: true });
});

/** Types lines into Apache ZooKeeper's shell, and returns what it says. */
async function shell(...typed: string[]): Promise<string> {
  const client = spawn('java', ['-cp', SHELL_CLASS_PATH, 'org.apache.zookeeper.ZooKeeperMain', '-server', hosts]);
  let said = '';
  for (const stream of [client.stdout, client.stderr]) stream.on('data', (bytes) => (said += String(bytes)));
  client.stdin.end(`${[...typed, 'quit'].join('\n')}\n`);
  await once(client, 'close');
  return said;
}

/** Runs a peer of the interop folder to its end. */
async function peer(program: string, ...args: string[]): Promise<string> {
  const child = spawn(program, args, {
    env: { ...process.env, ZK_HOSTS: hosts, SESSION_MS: '5000' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (said += String(bytes)));
  const [code] = await once(child, 'close');
  expect(code, said).toBe(0);
  return said;
}

const C_CLIENT = '/usr/lib/zookeeper/bin/cli_mt';

/** Types commands into the shell of the C client, each when the one before has been answered, and returns what it says. */
/** What the C client's shell prints last of a good answer, where that is not the line with the return code. */
const LAST_LINES: Readonly<Record<string, string>> = {
  create: '\\tname = ',
  create2: 'ephemeralOwner = ',
  exists: 'ephemeralOwner = ',
  get: 'ephemeralOwner = ',
  ls: 'time = ',
  set: 'ephemeralOwner = ',
};

async function cShell(...typed: string[]): Promise<string> {
  const client = spawn(C_CLIENT, [hosts], { stdio: ['pipe', 'ignore', 'pipe'] });
  // It answers and logs on the same stream.
  const { stdin, stderr } = client;
  let said = '';
  let answered: () => void = () => undefined;
  stderr.on('data', (bytes) => {
    said += String(bytes);
    answered();
  });
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo() && client.exitCode === null) {
      await new Promise<void>((resolve) => {
        answered = resolve;
      });
    }
  };
  client.on('exit', () => answered());
  await until(() => said.includes('Got a new session id'));
  for (const command of typed) {
    const before = said.length;
    stdin.write(`${command}\n`);
    // It says nothing about what `wexists` and `wget` return.
    if (command.startsWith('w')) continue;
    // Another thread of its prints the answers, line by line: the next command waits for the last line of this one's.
    const lastLine = LAST_LINES[command.split(' ')[0] ?? ''] ?? 'rc = 0';
    const answer = new RegExp(`^(?:.*rc = -\\d+|Error -\\d+ for.*|.*${lastLine}.*)\n`, 'm');
    await until(() => answer.test(said.slice(before)));
  }
  stdin.end('quit\n');
  if (client.exitCode === null) await once(client, 'close');
  return said;
}

const words = (said: string): string[] =>
  said
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((word) => word !== '' && word !== 'STATE' && word !== 'SESSION' && word !== 'BYE');

describe.skipIf(whyNot !== undefined)('on our server', () => {
  it("Apache ZooKeeper's shell creates in all four modes, reads, sets, lists and deletes, and sees its watch fire", async () => {
    const said = await shell(
      'create /p one',
      'create -e /e two',
      'create -s /p/s- x',
      'create -s -e /p/es- y',
      'get -w /p',
      'set /p three',
      'get /p',
      'ls /p',
      'stat /p',
      'delete /p/s-0000000000',
      'ls -R /p',
      'get /gone',
      'create /p again',
      'delete /p',
    );
    for (const created of ['/p', '/e', '/p/s-0000000000', '/p/es-0000000001'])
      expect(said).toContain(`Created ${created}\n`);
    expect(said).toContain('WatchedEvent state:SyncConnected type:NodeDataChanged path:/p\n');
    expect(said).toMatch(/^one$/m);
    expect(said).toMatch(/^three$/m);
    expect(said).toMatch(/^\[es-0000000001, s-0000000000\]$/m);
    expect(said).toMatch(/dataVersion = 1\n(.*\n)*dataLength = 5\nnumChildren = 2\n/);
    expect(said).toMatch(/^\/p\n\/p\/es-0000000001$/m);
    expect(said).toContain('Node does not exist: /gone');
    expect(said).toContain('Node already exists: /p');
    expect(said).toContain('Node not empty: /p');
    expect(await shell('ls /'), 'the ephemeral went with its session').toMatch(/^\[p, zookeeper\]$/m);
  });

  it("Apache ZooKeeper's log dumper reads the log of a server that was killed, and finds every write in it", async () => {
    await shell('create /a one', 'set /a two', 'create /a/b x', 'delete /a/b', 'create /a again', 'delete /nothing');
    await killServer();
    const logs = await readdir(join(folder, 'data', 'version-2'));
    expect(logs.filter((name) => name.startsWith('log.'))).toEqual(['log.1']);
    const { status, stdout } = spawnSync(
      'bash',
      [join(interopDir, 'txnlog-dump.sh'), join(folder, 'data', 'version-2', 'log.1')],
      {
        encoding: 'utf8',
      },
    );
    expect(status).toBe(0);
    for (const txn of [
      'zxid 0x1 createSession',
      'zxid 0x2 create /a,one',
      'zxid 0x3 setData /a,two,1',
      'zxid 0x4 create /a/b,x',
      "zxid 0x5 delete '/a/b",
      'zxid 0x6 error -110',
      'zxid 0x7 error -101',
      'zxid 0x8 closeSession v{}',
      'EOF reached after 8 txns.',
    ]) {
      expect(stdout).toContain(txn);
    }
  });

  it('Java Curator takes turns on a lock, and hands over leadership', async () => {
    const crossPeer = join(interopDir, 'cross-peer.sh');
    await peer('bash', crossPeer, '--build');
    const turn = ['WAITING', 'ACQUIRED', 'PARTICIPANTS', 'RELEASING', 'RELEASED'];
    const [a, b] = await Promise.all([
      peer('bash', crossPeer, 'lock', '/l', '100', '2'),
      peer('bash', crossPeer, 'lock', '/l', '100', '2'),
    ]);
    expect(words(a)).toEqual([...turn, ...turn]);
    expect(words(b)).toEqual([...turn, ...turn]);
    expect(words(await peer('bash', crossPeer, 'selector', '/s', 'A', '50', '2'))).toEqual([
      'STARTED',
      'LEADER',
      'YIELD',
      'LEADER',
      'YIELD',
    ]);
  });

  it('kazoo takes its lock', async () => {
    const said = await peer('/usr/bin/python3', join(interopDir, 'cross_peer.py'), 'lock', '/k', '50', '2');
    expect(words(said)).toEqual([
      'WAITING',
      'ACQUIRED',
      'RELEASING',
      'RELEASED',
      'WAITING',
      'ACQUIRED',
      'RELEASING',
      'RELEASED',
    ]);
  });

  it("kazoo's client creates, reads, sets, watches, commits transactions and keeps to ACLs", async () => {
    const said = await peer(
      '/usr/bin/python3',
      fileURLToPath(new URL('./kazoo-operations.py', import.meta.url)),
      hosts,
    );
    expect(said.trim().split('\n')).toEqual([
      'created /k /k/s-0000000000 /k/e',
      'created /k/made 0 4 True',
      'made way /k/deep/er/still True',
      "got b'one' 0 4",
      'set 1',
      "children ['deep', 'e', 'made', 's-0000000000']",
      'refused NodeExistsError NoNodeError NotEmptyError BadVersionError',
      'synced /k',
      'gone None',
      'event data CHANGED /k',
      'event birth CREATED /k/born',
      'event children CHILD /k',
      'transaction /k/t 3 True True',
      'rolled back RolledBackError BadVersionError RuntimeInconsistency',
      'left None True',
      'without authentication NoAuthError NoAuthError',
      "bob b'hush' bob:ikIaKsbtGweaHnb/jKn7OHqbunM=",
      "opened 1 b'hush'",
      "after ['born', 'made', 's-0000000000', 'secret']",
    ]);
  });
});

describe.skipIf(whyNotWithout('the C client on our server', [C_CLIENT]) !== undefined)(
  'on our server, the C client',
  () => {
    it('creates in every mode, lists, reads, sets and deletes, and sees its watches fire', async () => {
      const said = await cShell(
        'create /c',
        'wexists /c',
        'set /c hello',
        'get /c',
        'create +e /c/e',
        'create +s /c/s-',
        'create2 /c/two',
        'create +c /c/container',
        'ls /c',
        'delete /c/e',
        'sync /c',
        'exists /gone',
        'get /c/e',
        'create /c',
        'delete /c',
      );
      for (const name of ['/c', '/c/e', '/c/s-0000000001', '/c/two', '/c/container']) {
        expect(said).toMatch(new RegExp(`rc = 0\\n\\tname = ${name}$`, 'm'));
      }
      expect(said).toContain('Watcher CHANGED_EVENT state = CONNECTED_STATE for path /c\n');
      expect(said).toContain('Watcher CHILD_EVENT state = CONNECTED_STATE for path /c\n');
      expect(said).toContain('/c: rc = 0\n value_len = 5\nhello\nStat:\n');
      const [, listed = ''] = /\n\/c: rc = 0\n((?:\t\S+\n)+)/.exec(said) ?? [];
      expect(listed.trim().split(/\s+/).sort()).toEqual(['container', 'e', 's-0000000001', 'two']);
      expect(said).toContain('/c/e: rc = 0\n');
      expect(said).toContain('Error -101 for /gone\n');
      expect(said).toContain('/c/e: rc = -101\n');
      expect(said).toMatch(/\[\/c\]: rc = -110$/m);
      expect(said).toMatch(/^\/c: rc = -111$/m);
    });
  },
);
