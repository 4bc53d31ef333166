/**
 * `zkcli` beside the original's shell (`ZooKeeperMain` of Apache ZooKeeper 3.8): the same lines are typed into both, each on a fresh
 * server of the same make, and what they say is compared line by line, stdout and stderr apart, zxids included. Where ours says something
 * else on purpose, the command below has a {@link Difference} with the reason; any other difference fails.
 *
 * After each command two more are typed that say something unmistakable on either stream: so it is known what belongs to which. Events
 * come in their own time, on a thread of the original's: they are compared as a sequence.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { TestingServer } from 'zookeeper-server-ts/testing';
import { freePort, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';

const ZKCLI = fileURLToPath(new URL('../../client/bin/zkcli.js', import.meta.url));
const SHELL_CLASS_PATH = '/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-nop.jar';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped, zkcli beside the original's shell: ${missing}`);

type Lines = readonly string[];

/** What ours says, given what the original does. */
interface Difference {
  readonly why: string;
  readonly out?: (original: Lines) => Lines;
  readonly err?: (original: Lines) => Lines;
  /** The original itself says now this, now that. */
  readonly isSometimes?: true;
}

const withoutClassName: Difference = {
  why: 'the name of a Java class says nothing to the user',
  err: (original) => original.map((line) => line.replace(/^org\.apache\.commons\.cli\.\w+: /, '')),
};
const noData: Difference = {
  why: 'our client does not tell a znode without data from one with none: an empty line (which the test leaves out)',
  out: (original) => original.filter((line) => line !== 'null'),
};
const oneLine: Difference = {
  why: 'a failure is one line',
  err: (original) => original.filter((line) => !line.startsWith('KeeperErrorCode')),
};
const sorted: Difference = {
  why: 'the original prints them in the order of a hash table',
  out: (original) => original.map((line) => `[${line.slice(1, -1).split(', ').sort().join(', ')}]`),
  isSometimes: true,
};
const refused = (what: string): Difference => ({
  why: `what it can't read is refused; the original leaves it out and does the rest: ${what}`,
  out: () => [],
  err: (original) => original.slice(0, 1),
});
const says = (why: string, ...err: string[]): Difference => ({ why, err: () => err });
const pathRules = 'the rules for paths are told in the words of our client';

const COMMANDS: readonly (string | readonly [command: string, Difference])[] = [
  'create /a data1',
  'create /a',
  'get /none',
  'create /a/empty',
  ['get /a/empty', noData],
  'create -s /a/seq- d',
  'create -e /a/e "two  words"',
  "create -e -s /a/es- 'single quoted'",
  'create -c /a/c',
  'create -t 100000 /a/t x',
  'create -s -t 100000 /a/ts x',
  'create -t abc /a/t2 x',
  'create -t -1 /a/t2 x',
  'create -c -e /z',
  'create -t 5 -e /z',
  'create -t 5 -c /z',
  ['create -x /foo', withoutClassName],
  ['create -t', withoutClassName],
  'create',
  'create /none/child x',
  'create -e /eph',
  'create /eph/child',
  ['create /a//b x', says(pathRules, 'path: invalid path "/a//b": it has an empty component')],
  'create "/with space" x',
  'get "/with space"',
  'create /a/acl x world:anyone:r',
  'set /a/acl y',
  ['create /a/acl2 x auth::r', oneLine],
  'get -s /a',
  'get -s -w /a',
  'set /a x',
  'set -v 1 -s /a y',
  'set -v 99 /a z',
  'set /a',
  'set -s /none x',
  'get /a watch',
  'set /a -- -dashes',
  'get /a',
  'ls /',
  'ls -s /a',
  'ls -R /a',
  'ls -R /',
  'ls',
  ['ls a', says(pathRules, 'path: invalid path "a": it must start with /')],
  ['ls /a/', says(pathRules, 'path: invalid path "/a/": it must not end with /')],
  'ls /none',
  'ls -R /none',
  'ls -w /a',
  'create /a/new n',
  'stat /none',
  'stat /a/e',
  'stat -w /a/new',
  'delete /a/new',
  'delete /a',
  'delete -v 3 /a/empty',
  'delete /none',
  'delete',
  'getAcl /a',
  'getAcl -s /a/acl',
  'setAcl -s /a/t world:anyone:cdrw',
  'setAcl -v 9 /a/t world:anyone:r',
  'setAcl -v 1 -s /a/t world:anyone:r',
  'setAcl /a/c digest:bob:ikIaKsbtGweaHnb/jKn7OHqbunM=:cdrwa,world:anyone:r',
  'getAcl /a/c',
  'set /a/c x',
  'addauth digest bob:secret',
  'whoami',
  'create /a/mine x auth::cdrwa',
  'getAcl /a/mine',
  'setAcl -R /a/seq-0000000001 world:anyone:cdrwa',
  'sync /a',
  ['getEphemerals', sorted],
  ['getEphemerals /a', sorted],
  'getEphemerals /none',
  'getAllChildrenNumber /a',
  'getAllChildrenNumber',
  'create /q v',
  'create /q/s v',
  'listquota /q',
  'setquota -n 5 /q',
  'setquota -N 10 /q',
  'setquota -b 1 /q',
  'setquota -n 1 /q',
  'setquota -n 5 /q/s',
  'listquota /q',
  'get /zookeeper/quota/q/zookeeper_limits',
  ['setquota -n abc /q', says('the name of a Java class says nothing to the user', 'a quota must be a number: abc')],
  'setquota -n 0 /q',
  'setquota -B -3 /q',
  [
    'setquota /q',
    says('the name of a Java class says nothing to the user', 'Missing required option: one of -n, -b, -N, -B'),
  ],
  [
    'setquota -n 5 -b 5 /q',
    says('the name of a Java class says nothing to the user', "-n and -b can't be given together"),
  ],
  'setquota -n 5 /zookeeper/quota/x',
  'setquota -n 5 /none',
  'delquota -n /q',
  'listquota /q',
  'delquota /q',
  'delquota /q',
  'listquota /q',
  'ls -R /zookeeper',
  'addWatch /q',
  'set /q z',
  'create /q/t',
  'removewatches /q',
  'removewatches /q',
  'removewatches -c /q -l',
  'addWatch -m persistent /q',
  'addWatch -m foo /q',
  'delete /q/t',
  'config',
  'config -c',
  'config -s',
  ['reconfig -remove 1', says('it names the znode', 'KeeperErrorCode = Reconfig is disabled for /zookeeper/config')],
  ['reconfig -foo', withoutClassName],
  'reconfig',
  'reconfig -v zz -add foo',
  'reconfig -file x -add foo',
  'reconfig -file x -members foo',
  'deleteall /none',
  'deleteall -b x /q',
  'deleteall /a/seq-0000000001',
  'deleteall -b 2 /a',
  'ls /',
  [
    'deleteall /zookeeper',
    {
      ...says(
        'the original may look whether something failed before its other thread has noted it',
        'Failed to delete some node(s) in the subtree!',
      ),
      isSometimes: true,
    },
  ],
  [
    'bogus',
    {
      why: "`help` and `exit` are there; the program's own line is ours; and the text is not said twice",
      err: (original) => [
        'zkcli [-server host:port[,host:port...][/chroot]] [-timeout ms] [-r] [-waitforconnection] [--json] [cmd args]',
        ...[...original.slice(1, -1), '\thelp', '\texit'].sort((one, other) => (one < other ? -1 : 1)),
        'Command not found: bogus',
      ],
    },
  ],
  'redo 3000',
  'redo 0',
  // What follows changes something in one shell only.
  ['setAcl /a foo', refused('an ACL')],
  ['setAcl -s / world:anyone:cdrwaz', refused('a permission')],
  ['create /a x digest:bob', refused('an ACL')],
  ['set /zookeeper two words', { ...refused('arguments'), err: () => ['set [-s] [-v version] path data'] }],
];

interface Said {
  /** By command, without what is said of events. */
  readonly out: Lines[];
  readonly err: Lines[];
  readonly events: Lines;
}

/** Types the commands, and tells apart what was said of which. */
async function type(program: string, args: readonly string[]): Promise<Said> {
  const shell = spawn(program, args);
  let out = '';
  let err = '';
  shell.stdout.on('data', (bytes) => {
    out += String(bytes);
  });
  shell.stderr.on('data', (bytes) => {
    err += String(bytes);
  });
  const lines = COMMANDS.map((command) => (typeof command === 'string' ? command : command[0]));
  shell.stdin.end(`${lines.flatMap((line) => [line, 'stat /end/of/it', 'printwatches']).join('\n')}\n`);
  await once(shell, 'close');
  return {
    out: split(out, 'printwatches is on').map(withoutEvents),
    err: split(err, 'Node does not exist: /end/of/it'),
    events: out.split('\n').filter((line) => line.startsWith('WatchedEvent')),
  };
}

/** The lines before each mark. What depends on the moment, and on the session, is made the same. */
function split(text: string, mark: string): Lines[] {
  const parts: string[][] = [[]];
  for (const line of text.split('\n').slice(0, -1)) {
    if (line === mark) parts.push([]);
    else
      parts.at(-1)?.push(
        line
          .replace(/^([cm]time) = \w{3} \w{3} \d\d \d\d:\d\d:\d\d \w{3,4} \d{4}$/, '$1 = a date')
          .replace(/^ephemeralOwner = 0x[0-9a-f]{4,}$/, 'ephemeralOwner = a session')
          .trimEnd(),
      );
  }
  expect(parts).toHaveLength(COMMANDS.length + 1);
  return parts;
}

const withoutEvents = (lines: Lines): Lines =>
  lines.filter(
    (line) =>
      line !== '' &&
      line !== 'WATCHER::' &&
      !line.startsWith('WatchedEvent') &&
      !/^(Connecting to|Welcome to|JLine support)/.test(line),
  );

const originalShell = (hosts: string, ...words: string[]) =>
  ['java', ['-cp', SHELL_CLASS_PATH, 'org.apache.zookeeper.ZooKeeperMain', '-server', hosts, ...words]] as const;
const ourShell = (hosts: string, ...words: string[]) =>
  [process.execPath, [ZKCLI, '-server', hosts, ...words]] as const;

interface AnyServer extends AsyncDisposable {
  readonly connectString: string;
}

const makes: readonly (readonly [string, () => Promise<AnyServer>])[] = [
  [
    'Apache ZooKeeper',
    () =>
      startApacheZooKeeper({
        properties: { 'zookeeper.extendedTypesEnabled': 'true', 'znode.container.checkIntervalMs': 600_000 },
      }),
  ],
  ['our server', () => TestingServer.start({ extendedTypesEnabled: true })],
];

describe.skipIf(missing !== undefined).each(makes)('on %s, zkcli', (_make, start) => {
  it("says of every command what the original's shell says", async () => {
    await using one = await start();
    const original = await type(...originalShell(one.connectString));
    await using other = await start();
    const ours = await type(...ourShell(other.connectString));
    const compared = COMMANDS.map((each, index) => {
      const [command, difference] = typeof each === 'string' ? [each, undefined] : each;
      const [out = [], err = []] = [original.out[index], original.err[index]];
      return {
        expected: { command, out: difference?.out?.(out) ?? out, err: difference?.err?.(err) ?? err },
        found: { command, out: ours.out[index], err: ours.err[index] },
        isNeedless:
          difference !== undefined &&
          !difference.isSometimes &&
          String([out, err]) === String([ours.out[index], ours.err[index]]),
        command,
      };
    });
    expect(compared.map(({ found }) => found)).toEqual(compared.map(({ expected }) => expected));
    expect(ours.events).toEqual(original.events);
    // A difference that there is no more is to be taken from the list.
    expect(compared.filter(({ isNeedless }) => isNeedless).map(({ command }) => command)).toEqual([]);
  });
});

/** Runs a shell to its end, with lines on its stdin. */
async function run(
  [program, args]: readonly [string, readonly string[]],
  { lines = [], env = {} }: { lines?: Lines; env?: Record<string, string> } = {},
) {
  const child = spawn(program, args, { env: { ...process.env, ...env } });
  const said = { out: '', err: '' };
  child.stdout.on('data', (bytes) => {
    said.out += String(bytes);
  });
  child.stderr.on('data', (bytes) => {
    said.err += String(bytes);
  });
  child.stdin.end(lines.map((line) => `${line}\n`).join(''));
  const [code] = await once(child, 'close');
  // Its events come on a thread of the original's, which may be late, or not come to it at all.
  return { code, out: withoutEvents(said.out.split('\n')), err: said.err };
}

describe.skipIf(missing !== undefined)('one command of zkcli', () => {
  it("ends as the original's does, with the same words and the same dates in any time zone", async () => {
    await using server = await TestingServer.start();
    const { connectString } = server;
    expect(await run(ourShell(connectString, 'create', '/x', 'data'))).toMatchObject({ code: 0 });
    for (const words of [
      ['get', '/none'],
      ['get', '-s', '/x'],
      ['create', '/x'],
      ['set', '/x'],
    ]) {
      expect(await run(ourShell(connectString, ...words)), words.join(' ')).toEqual(
        await run(originalShell(connectString, ...words)),
      );
    }
    expect((await run(ourShell(connectString, 'bogus'))).code).toBe(
      (await run(originalShell(connectString, 'bogus'))).code,
    );
    for (const TZ of ['America/New_York', 'Europe/Berlin', 'Asia/Tokyo']) {
      const env = { TZ };
      const { out } = await run(ourShell(connectString, 'stat', '/x'), { env });
      expect(out).toHaveLength(11);
      expect(out).toEqual((await run(originalShell(connectString, 'stat', '/x'), { env })).out);
    }
  });
});

describe.skipIf(missing !== undefined)('on an ensemble of Apache ZooKeeper, zkcli', () => {
  it("shows the configuration as the original's shell does, and changes it, in part and as a whole", async () => {
    const peer = `127.0.0.1:${await freePort()}:${await freePort()}`;
    await using server = await startApacheZooKeeper({
      myId: 1,
      config: {
        initLimit: 5,
        syncLimit: 5,
        reconfigEnabled: 'true',
        standaloneEnabled: 'false',
        skipACL: 'yes',
        'server.1': peer,
      },
    });
    const { connectString, port } = server;
    const member = `server.1=${peer}:participant;127.0.0.1:${port}`;
    const observer = `server.2=127.0.0.1:${await freePort()}:${await freePort()}:observer;127.0.0.1:${await freePort()}`;

    const joined = await run(ourShell(connectString, 'reconfig', '-add', `${member},${observer}`));
    expect(joined).toMatchObject({ code: 0, err: '' });
    const version = /^version=(.*)$/.exec(joined.out.at(-1) ?? '')?.[1] ?? '';
    expect(joined.out).toEqual(['Committed new configuration:', member, observer, `version=${version}`]);

    const lines = ['config', 'config -s'];
    expect(await run(ourShell(connectString), { lines })).toEqual(await run(originalShell(connectString), { lines }));
    const [ours, original] = [
      await run(ourShell(connectString, 'config', '-c')),
      await run(originalShell(connectString, 'config', '-c')),
    ].map(({ out }) => (out[0] ?? '').split(/[ ,]/).sort());
    expect(ours).toEqual(original);

    const stale = await run(ourShell(connectString, 'reconfig', '-v', '1', '-remove', '2'));
    expect(stale).toMatchObject({ code: 1, err: 'version No is not valid : /zookeeper/config\n' });

    const folder = await mkdtemp(join(tmpdir(), 'zkcli-'));
    try {
      const file = join(folder, 'members');
      await writeFile(file, `# who is left\n${member}\n`);
      const whole = await run(ourShell(connectString, 'reconfig', '-s', '-v', version, '-file', file));
      expect(whole.err).toBe('');
      expect(whole.out.slice(0, 2)).toEqual(['Committed new configuration:', member]);
      expect(whole.out).toHaveLength(3 + 11);
      const left = await run(ourShell(connectString, 'reconfig', '-members', `${member},${observer}`));
      expect(left.out.slice(1, 3)).toEqual([member, observer]);
      expect(await run(ourShell(connectString, 'reconfig', '-remove', '2'))).toMatchObject({ code: 0 });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
