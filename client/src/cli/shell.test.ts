import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from 'zookeeper-protocol-ts';
import { ShellUnderTest } from './shell.fixture.ts';
import { VERSION } from './version.ts';

const watched = (state: string, type = 'None', path = 'null') => [
  '',
  'WATCHER::',
  '',
  `WatchedEvent state:${state} type:${type} path:${path}`,
];

describe('a shell', () => {
  it('says where it connects to, and when it is connected', async () => {
    const { server, output, shell } = new ShellUnderTest();
    expect(output.take()).toEqual(['Connecting to zk1:2181']);
    expect(shell.prompt).toBe('[zk: zk1:2181(CONNECTING) 0] ');
    await server.clock.advance(1000);
    expect(output.take()).toEqual(watched('SyncConnected'));
    expect(shell.prompt).toBe('[zk: zk1:2181(CONNECTED) 0] ');
  });

  it('answers on stdout, fails on stderr, and keeps the exit code of the last command', async () => {
    const test = await new ShellUnderTest({ paths: ['/a', '/a/b', '/a/c'] }).connected();
    expect(await test.type('ls /a')).toEqual({ out: ['[b, c]'], err: [] });
    expect(test.shell.exitCode).toBe(0);
    expect(await test.type('get /none')).toEqual({ out: [], err: ['Node does not exist: /none'] });
    expect(test.shell.exitCode).toBe(1);
    expect(await test.type('create /a/d x')).toEqual({ out: [], err: ['Created /a/d'] });
    expect(test.shell.exitCode).toBe(0);
    expect(test.server.dataOf('/a/d')).toBe('x');
  });

  it('shows the usage of a command with too few or too many words, and does nothing', async () => {
    const test = await new ShellUnderTest({ paths: ['/a'] }).connected();
    expect(await test.type('set /a')).toEqual({ out: [], err: ['set [-s] [-v version] path data'] });
    expect(await test.type('set /a two words')).toEqual({ out: [], err: ['set [-s] [-v version] path data'] });
    expect(test.server.received).toEqual([]);
    expect(test.shell.exitCode).toBe(1);
  });

  it('shows all usage for a command that there is not, and its exit code is 127', async () => {
    const test = await new ShellUnderTest().connected();
    const { err } = await test.type('rmr /a');
    expect(err[0]).toMatch(/^zkcli /);
    expect(err).toContain('\tget [-s] [-w] path');
    expect(err.at(-1)).toBe('Command not found: rmr');
    expect(test.shell.exitCode).toBe(127);
  });

  it('leaves out empty lines, also in the history', async () => {
    const test = await new ShellUnderTest().connected();
    await test.type('');
    await test.type('   ');
    expect(test.shell.history).toEqual([]);
  });

  it('prints one event of a znode once, however many watches wait for it, and none after printwatches off', async () => {
    const test = await new ShellUnderTest({ paths: ['/a'] }).connected();
    await test.type('get -w /a');
    await test.type('stat -w /a');
    expect((await test.type('set /a x')).out).toEqual(watched('SyncConnected', 'NodeDataChanged', '/a'));
    await test.type('get -w /a');
    expect((await test.type('printwatches')).out).toEqual(['printwatches is on']);
    await test.type('printwatches off');
    expect((await test.type('set /a y')).out).toEqual([]);
  });

  it('prints an outage once, however many watches there are', async () => {
    const test = await new ShellUnderTest({ paths: ['/a'] }).connected();
    await test.type('get -w /a');
    await test.type('addWatch /a');
    test.server.dropConnections();
    await test.server.clock.advance(10_000);
    expect(test.printed().out).toEqual([...watched('Disconnected'), ...watched('SyncConnected')]);
  });

  it('takes a word behind the path for a watch, in the manner of before 3.5, and says so', async () => {
    const test = await new ShellUnderTest({ paths: ['/a'] }).connected();
    expect((await test.type('get /a watch')).err).toEqual([
      "'get path [watch]' has been deprecated. Please use 'get [-s] [-w] path' instead.",
    ]);
    expect(test.server.watches).toEqual(['data /a once']);
  });

  it('shows the last ten lines and the present one, and does one again in the place of the present one', async () => {
    const test = await new ShellUnderTest({ paths: ['/a'] }).connected();
    for (let i = 0; i < 11; i++) await test.type(`create /a/${i}`);
    const { out } = await test.type('history');
    expect(out).toHaveLength(11);
    expect([out[0], out[10]]).toEqual(['1 - create /a/1', '11 - history']);
    expect((await test.type('redo 3')).err).toEqual(['Node already exists: /a/3']);
    expect(test.shell.exitCode).toBe(1);
    expect(test.shell.history.at(-1)).toBe('create /a/3');
  });

  it.each([
    ['redo 7', 'Command index out of range'],
    ['redo 0', 'Command index out of range'],
    ['redo x', 'not the number of a command: x'],
    ['redo', 'redo cmdno'],
  ])('refuses %s as its first line: %s', async (line, message) => {
    const test = await new ShellUnderTest().connected();
    expect((await test.type(line)).err).toEqual([message]);
  });

  it('does not redo a redo', async () => {
    const test = await new ShellUnderTest().connected();
    await test.type('redo 9');
    expect((await test.type('redo 0')).err).toEqual(['No redoing redos']);
  });

  it('is not connected after close, until connect opens another session', async () => {
    const test = await new ShellUnderTest({ paths: ['/a'] }).connected();
    const { sessionId } = test.shell.zookeeper;
    expect((await test.type('close')).out).toEqual(watched('Closed'));
    expect(await test.type('ls /')).toEqual({ out: [], err: ['Not connected'] });
    expect(await test.type('close')).toEqual({ out: [], err: ['Not connected'] });
    expect(test.shell.prompt).toContain('(CLOSED)');
    await test.type('connect');
    expect((await test.type('ls /')).out).toEqual(['[a]']);
    expect(test.shell.zookeeper.sessionId).not.toBe(sessionId);
  });

  it('connects to other servers, and keeps the session where the connect string can not be read', async () => {
    const test = await new ShellUnderTest().connected();
    expect((await test.type('connect a:b')).err).toEqual([expect.stringContaining('connect string "a:b"')]);
    expect(test.shell.prompt).toContain('zk1:2181(CONNECTED)');
    await test.type('connect zk2:2182/app');
    expect(test.shell.prompt).toContain('zk2:2182/app(CONNECTED)');
    expect(test.server.sessions).toHaveLength(1);
  });

  it('ends the session with quit, and the exit code stays that of the command before', async () => {
    const test = await new ShellUnderTest().connected();
    await test.type('get /none');
    expect((await test.type('quit')).out).toEqual(watched('Closed'));
    expect(test.shell.isOver).toBe(true);
    expect(test.shell.exitCode).toBe(1);
    expect(test.server.sessions).toEqual([]);
    expect(test.server.clock.timers).toBe(0);
  });

  it('fails the command under way when it is closed, without a word of the session', async () => {
    const test = await new ShellUnderTest({ paths: ['/a'] }).connected();
    test.server.fate = () => 'ignore';
    const done = test.shell.execute('get /a');
    await test.server.clock.settle();
    const closed = test.shell.close();
    await test.server.clock.advance(2000);
    await Promise.all([done, closed]);
    expect(test.printed()).toEqual({ out: [], err: [expect.stringMatching(/\/a/)] });
    expect(test.shell.exitCode).toBe(1);
    expect(test.server.clock.timers).toBe(0);
  });

  it('waits at its end no longer than two seconds for a server that does not answer', async () => {
    const test = await new ShellUnderTest().connected();
    test.server.fate = () => 'ignore';
    let isClosed = false;
    const closed = test.shell.close().then(() => {
      isClosed = true;
    });
    await test.server.clock.advance(1999);
    expect(isClosed).toBe(false);
    await test.server.clock.advance(1);
    await closed;
    expect(test.server.clock.timers).toBe(0);
  });

  it('says why no server can be reached', async () => {
    const test = new ShellUnderTest({ up: false });
    expect((await test.type('get /a')).err).toEqual([
      'KeeperErrorCode = ConnectionLoss for /a (zk1:2181: connect ECONNREFUSED zk1:2181)',
    ]);
  });

  it('waits for a connection if it is told to, through failures, and for no longer than its timeout', async () => {
    const patient = new ShellUnderTest({ up: false, waitsForConnection: true });
    const ready = patient.shell.isReady();
    await patient.server.clock.advance(10_000);
    patient.server.start();
    await patient.server.clock.advance(10_000);
    expect(await ready).toBe(true);

    const late = new ShellUnderTest({ up: false, waitsForConnection: true });
    const never = late.shell.isReady();
    await late.server.clock.advance(30_000);
    expect(await never).toBe(false);
    expect(late.printed().err).toEqual(['KeeperErrorCode = ConnectionLoss (zk1:2181: connect ECONNREFUSED zk1:2181)']);
    expect(late.shell.exitCode).toBe(1);
  });

  it('ends that wait when it is closed', async () => {
    const test = new ShellUnderTest({ up: false, waitsForConnection: true });
    const ready = test.shell.isReady();
    await test.server.clock.settle();
    const closed = test.shell.close();
    await test.server.clock.advance(1000);
    await closed;
    expect(await ready).toBe(false);
    expect(test.server.clock.timers).toBe(0);
  });

  it('has the version of its package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(VERSION).toBe(version);
    const test = await new ShellUnderTest().connected();
    expect((await test.type('version')).out).toEqual([`ZooKeeper CLI version: curator-ts ${VERSION}`]);
  });
});

describe('a shell that prints JSON', () => {
  it('has one line on stdout for each command, its failures included', async () => {
    const test = await new ShellUnderTest({ json: true, paths: ['/a'] }).connected();
    const lines = [];
    for (const line of ['set /a zwölf', 'get /a', 'ls /', 'delete -v 9 /a', 'bogus', 'get']) {
      const { out, err } = await test.type(line);
      expect(err.filter((each) => !each.startsWith('zkcli'))).toEqual([]);
      expect(out).toHaveLength(1);
      lines.push(JSON.parse(out[0] ?? ''));
    }
    expect(lines).toMatchObject([
      { path: '/a', stat: { version: 1 } },
      { path: '/a', data: 'zwölf', stat: { mzxid: expect.stringMatching(/^0x[0-9a-f]+$/), ephemeralOwner: '0x0' } },
      { path: '/', children: ['a'] },
      { error: { code: 'BAD_VERSION', message: 'version No is not valid : /a', path: '/a' } },
      { error: { code: 'COMMAND', message: 'Command not found: bogus' } },
      { error: { code: 'COMMAND', message: 'get [-s] [-w] path' } },
    ]);
    expect(lines[3].error).not.toHaveProperty('exitCode');
  });

  it('has bytes that are no text in base64', async () => {
    const test = await new ShellUnderTest({ json: true, paths: ['/a'] }).connected();
    const written = test.shell.zookeeper.setData('/a', Buffer.from([0xff, 0]));
    await test.server.clock.settle();
    await written;
    const { out } = await test.type('get /a');
    expect(JSON.parse(out[0] ?? '')).toMatchObject({ dataBase64: '/wA=' });
  });

  it('has the events of znodes on stdout, and those of the session on stderr', async () => {
    const test = new ShellUnderTest({ json: true, paths: ['/a'] });
    await test.server.clock.advance(1000);
    expect(test.printed()).toEqual({ out: [], err: ['{"event":{"type":"None","state":"SyncConnected"}}'] });
    await test.type('addWatch /a');
    const { out } = await test.type('set /a x');
    expect(out[0]).toBe('{"event":{"type":"NodeDataChanged","state":"SyncConnected","path":"/a"}}');
    expect(out).toHaveLength(2);
  });
});

describe('a command that works on a whole tree', () => {
  it('lists all children of a znode, then what is below each of them', async () => {
    const paths = ['/a', '/a/b', '/a/b/x', '/a/b/y', '/a/c', '/a/c/z', '/a/b/x/1', '/b'];
    const test = await new ShellUnderTest({ paths }).connected();
    expect((await test.type('ls -R /a')).out).toEqual(['/a', '/a/b', '/a/c', '/a/b/x', '/a/b/y', '/a/b/x/1', '/a/c/z']);
    expect((await test.type('ls -R /')).out.slice(0, 3)).toEqual(['/', '/a', '/b']);
    expect((await test.type('ls -R /none')).err).toEqual(['Node does not exist: /none']);
  });

  it('leaves out what goes away meanwhile', async () => {
    const test = await new ShellUnderTest({ paths: ['/a', '/a/b', '/a/c'] }).connected();
    test.server.fate = ({ path }) => (path === '/a/b' ? ErrorCode.NO_NODE : undefined);
    expect((await test.type('ls -R /a')).out).toEqual(['/a', '/a/b', '/a/c']);
  });

  it('fails with the first other refusal', async () => {
    const test = await new ShellUnderTest({ paths: ['/a', '/a/b'] }).connected();
    test.server.fate = ({ path }) => (path === '/a/b' ? ErrorCode.NO_AUTH : undefined);
    expect(await test.type('ls -R /a')).toEqual({ out: [], err: ['Insufficient permission : /a/b'] });
  });
});
