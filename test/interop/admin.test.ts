/**
 * What an administrator sees, here and on a real Apache ZooKeeper: the same questions after the same requests, and the answers
 * compared as text, with only numbers, addresses and times taken out.
 */

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AddWatchMode, CreateMode, OPEN_ACL, operations } from 'zookeeper-protocol-ts';
import { ZooKeeperServer } from 'zookeeper-server-ts';
import { RawConnection } from '../integration/raw-connection.ts';
import { type ApacheZooKeeper, HTTP_JARS, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

const missingJar = HTTP_JARS.find((jar) => !existsSync(jar));
if (missingJar !== undefined) console.warn(`skipped: the AdminServer of Apache ZooKeeper, for want of ${missingJar}`);

/** A server of either kind, after the same requests. */
interface Subject {
  readonly port: number;
  readonly adminPort: number;
  readonly connections: readonly RawConnection[];
  /** Of the connections, in order. */
  readonly sessions: readonly bigint[];
}

let folder: string;
let apache: ApacheZooKeeper;
let ours: ZooKeeperServer;
let subjects: { readonly apache: Subject; readonly ours: Subject };

beforeAll(async () => {
  if (missing !== undefined) return;
  folder = await mkdtemp(join(tmpdir(), 'admin-'));
  const adminPort = await freePort();
  apache = await startWithHttp(adminPort);
  ours = await ZooKeeperServer.start({
    dataDir: join(folder, 'data'),
    clientPort: 0,
    clientPortAddress: '127.0.0.1',
    tickTimeMs: 500,
    maxClientCnxns: 0,
    fourLetterWords: new Set(['*']),
    admin: { host: '127.0.0.1', port: 0, commandUrl: '/commands', idleTimeoutMs: 30_000 },
  });
  subjects = {
    apache: await withRequests(apache.port, adminPort),
    ours: await withRequests(ours.address.port, ours.adminAddress?.port ?? 0),
  };
});

afterAll(async () => {
  if (missing !== undefined) return;
  for (const { connections } of Object.values(subjects)) for (const connection of connections) connection.destroy();
  await ours.close();
  await apache.stop();
  await rm(folder, { recursive: true });
});

/** With the classes of its AdminServer, which Debian doesn't put on its class path, if they are there. */
async function startWithHttp(adminPort: number): Promise<ApacheZooKeeper> {
  const config = { 'admin.enableServer': 'true', 'admin.serverAddress': '127.0.0.1', 'admin.serverPort': adminPort };
  if (missingJar !== undefined) return startApacheZooKeeper();
  const java = join(folder, 'java');
  const add = `case $word in *zookeeper.jar:*) word=$word:${HTTP_JARS.join(':')};; esac`;
  const script = `#!/usr/bin/env bash\nwords=()\nfor word in "$@"; do ${add}; words+=("$word"); done\nexec java "\${words[@]}"\n`;
  await writeFile(java, script);
  await chmod(java, 0o755);
  const before = process.env.JAVA;
  process.env.JAVA = java;
  try {
    return await startApacheZooKeeper({ config });
  } finally {
    if (before === undefined) delete process.env.JAVA;
    else process.env.JAVA = before;
  }
}

async function withRequests(port: number, adminPort: number): Promise<Subject> {
  // Whoever waited for the server to start has asked it already.
  await askPort(port, 'srst');
  const first = await RawConnection.withSession(port, { timeoutMs: 10_000 });
  const create = { data: Buffer.from('x'), acl: OPEN_ACL };
  await first.connection.call(operations.create, { path: '/w', ...create, flags: CreateMode.PERSISTENT });
  await first.connection.call(operations.create, { path: '/e', ...create, flags: CreateMode.EPHEMERAL });
  await first.connection.call(operations.getData, { path: '/w', watch: true });
  // Leaves no watch, for there is nothing to get; the next one does.
  await first.connection.call(operations.getData, { path: '/missing', watch: true });
  await first.connection.call(operations.exists, { path: '/later', watch: true });
  await first.connection.call(operations.getChildren, { path: '/', watch: true });
  const second = await RawConnection.withSession(port, { timeoutMs: 10_000 });
  await second.connection.call(operations.getData, { path: '/w', watch: true });
  await second.connection.ping();
  return {
    port,
    adminPort,
    connections: [first.connection, second.connection],
    sessions: [first.session.sessionId, second.session.sessionId],
  };
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

const ask = ({ port }: Subject, word: string | Buffer): Promise<string> => askPort(port, word);

async function askPort(port: number, word: string | Buffer): Promise<string> {
  const connection = await RawConnection.open(port, { framed: false });
  connection.write(Buffer.from(word));
  await connection.closed;
  return connection.text;
}

/** What differs from server to server, and from time to time, taken out; lines that come in no order, sorted. */
function comparable(text: string, { sessions }: Subject): string {
  let result = text;
  sessions.forEach((session, i) => {
    result = result.replaceAll(`0x${session.toString(16)}`, `SESSION${i}`).replaceAll(String(session), `SESSION${i}`);
  });
  return result
    .replace(/version: .*/g, 'version: VERSION')
    .replace(/127\.0\.0\.1:\d+/g, 'ADDRESS')
    .replace(/Latency min\/avg\/max: \d+\/\d+\.\d+\/\d+/g, 'Latency')
    .replace(/(est|lresp|llat|minlat|avglat|maxlat)=\d+/g, '$1=N')
    .replace(/expire at \w{3} \w{3} \d\d \d\d:\d\d:\d\d \w+ \d{4}:/g, 'expire at TIME:')
    .replace(/(clientPort|dataDirSize|dataLogSize)=\d+/g, '$1=N')
    .replace(/(dataDir|dataLogDir)=.*\/version-2/g, '$1=FOLDER')
    .replace(/(datadir_size|logdir_size): \d+/g, '$1: N');
}

const sorted = (text: string): string => text.split('\n').sort().join('\n');

/** The answers of both, to be compared. */
async function answers(word: string | Buffer): Promise<{ apache: string; ours: string }> {
  return {
    apache: comparable(await ask(subjects.apache, word), subjects.apache),
    ours: comparable(await ask(subjects.ours, word), subjects.ours),
  };
}

describe.skipIf(missing !== undefined)('the four-letter words', () => {
  test.each(['ruok', 'isro', 'gtmk', 'hash', 'wchs', 'srvr', 'conf', 'dirs'])(
    '%s has the text of the original',
    async (word) => {
      const found = await answers(word);
      expect(found.ours).toBe(found.apache);
      if (word !== 'hash') expect(found.ours).not.toBe('');
    },
  );

  test.each(['cons', 'stat', 'wchc', 'wchp'])('%s has the lines of the original', async (word) => {
    const found = await answers(word);
    expect(sorted(found.ours)).toBe(sorted(found.apache));
    expect(found.ours.endsWith('\n')).toBe(true);
  });

  test('dump has the lines of the original; what expires together depends on the moment', async () => {
    const found = await answers('dump');
    const lines = (text: string): string =>
      sorted(text.replace(/^\d+ expire at TIME:\n/gm, '').replace(/Sets \(\d+\)/g, 'Sets (N)'));
    expect(lines(found.ours)).toBe(lines(found.apache));
    expect(found.ours).toMatch(/^2 expire at TIME:$/m);
  });

  test('stmk sets the mask that gtmk tells', async () => {
    const mask = Buffer.from('stmk\0\0\0\0\0\0\u0001\u0033', 'latin1');
    expect(await answers(mask)).toEqual({ apache: '307', ours: '307' });
    expect(await answers('gtmk')).toEqual({ apache: '307', ours: '307' });
  });

  test('envi tells of the machine under the same names, and of Node instead of Java', async () => {
    const namesIn = (text: string): string[] =>
      text
        .split('\n')
        .map((line) => line.replace(/=.*/, ''))
        .filter((name) => !/^(java|node)\./.test(name));
    const found = await answers('envi');
    expect(namesIn(found.ours)).toEqual(namesIn(found.apache));
  });

  test('mntr has the names of the original, with values of the same form', async () => {
    const valuesIn = (text: string): Map<string, string> =>
      new Map(text.split('\n').map((line) => line.split('\t') as [string, string]));
    const found = await answers('mntr');
    const [theirs, own] = [valuesIn(found.apache), valuesIn(found.ours)];
    const form = (value: string | undefined): string | undefined =>
      value?.replace(/^-?\d+$/, 'long').replace(/^-?\d+\.\d+(E-?\d+)?$/, 'double');
    const forms = (values: Map<string, string>): [string, string | undefined][] =>
      [...own.keys()].filter((name) => name !== 'zk_version').map((name) => [name, form(values.get(name))]);
    expect(own.size).toBeGreaterThan(80);
    expect(forms(own)).toEqual(forms(theirs));
    const gauges = [...theirs.keys()].slice(0, [...theirs.keys()].indexOf('zk_proposal_count'));
    expect(gauges.length).toBeGreaterThan(20);
    expect(gauges.filter((name) => !own.has(name))).toEqual([]);
    for (const name of EQUAL) expect([name, own.get(name)]).toEqual([name, theirs.get(name)]);
  });

  test('crst and srst set back what cons and srvr tell', async () => {
    expect(await answers('crst')).toEqual({ apache: 'Connection stats reset.\n', ours: 'Connection stats reset.\n' });
    const cons = await answers('cons');
    expect(sorted(cons.ours)).toBe(sorted(cons.apache));
    expect(cons.ours).toContain('recved=0,sent=0,sid=SESSION0,lop=NA,');
    expect(await answers('srst')).toEqual({ apache: 'Server stats reset.\n', ours: 'Server stats reset.\n' });
    const srvr = await answers('srvr');
    expect(srvr.ours).toBe(srvr.apache);
    expect(srvr.ours).toContain('Received: 1\nSent: 1\n');
  });

  test('a persistent watch is told as one of data', async () => {
    for (const { connections } of Object.values(subjects)) {
      await connections[1]?.call(operations.addWatch, { path: '/p', mode: AddWatchMode.PERSISTENT_RECURSIVE });
    }
    const [wchp, wchs] = [await answers('wchp'), await answers('wchs')];
    expect(sorted(wchp.ours)).toBe(sorted(wchp.apache));
    expect(wchp.ours).toContain('/p\n\tSESSION1\n');
    expect(wchs.ours).toBe(wchs.apache);
  });
});

/** Both servers have the same after the same requests. */
const EQUAL = [
  ...['zk_server_state', 'zk_znode_count', 'zk_watch_count', 'zk_ephemerals_count', 'zk_global_sessions'],
  ...[
    'zk_approximate_data_size',
    'zk_num_alive_connections',
    'zk_outstanding_requests',
    'zk_max_file_descriptor_count',
  ],
  ...['zk_min_client_response_size', 'zk_max_client_response_size', 'zk_watch_bytes'],
];

describe.skipIf(missing !== undefined || missingJar !== undefined)('the commands of the AdminServer', () => {
  const get = async (
    { adminPort }: Subject,
    path: string,
  ): Promise<{ status: number; type: string | null; body: string }> => {
    const response = await fetch(`http://127.0.0.1:${adminPort}${path}`);
    return { status: response.status, type: response.headers.get('content-type'), body: await response.text() };
  };

  /** The same JSON, with only the values taken out. */
  const shape = (text: string, subject: Subject): string =>
    comparable(text, subject)
      .replace(/: "(?:[^"\\]|\\.)*"/g, ': "TEXT"')
      .replace(/SESSION\d/g, 'SESSION')
      .replace(/"\d+" :/g, '"N" :')
      // Whether two sessions end in the same tick depends on the moment.
      .replace(/ \],\n\s+"N" : \[ /g, ', ')
      .replace(/(?<![\w"])-?\d+\.\d+(E-?\d+)?/g, 'DOUBLE')
      .replace(/(?<![\w"])-?\d+(?!\w)/g, 'N');

  test.each([
    ...[
      'configuration',
      'conf',
      'connections',
      'dirs',
      'dump',
      'get_trace_mask',
      'hash',
      'initial_configuration',
      'icfg',
    ],
    ...['is_read_only', 'last_snapshot', 'leader', 'observers', 'ruok', 'server_stats', 'stats', 'voting_view'],
    ...['watch_summary', 'zabstate', 'set_trace_mask?traceMask=5', 'set_trace_mask'],
    ...['set_trace_mask?traceMask=x', 'connection_stat_reset', 'observer_connection_stat_reset', 'stat_reset', 'nope'],
  ])('%s has fields, order and form of the original', async (command) => {
    const theirs = await get(subjects.apache, `/commands/${command}`);
    const own = await get(subjects.ours, `/commands/${command}`);
    expect(own.status).toBe(theirs.status);
    expect(own.type).toBe(theirs.type);
    expect(shape(own.body, subjects.ours)).toBe(shape(theirs.body, subjects.apache));
  });

  test('monitor has the names of the original', async () => {
    const namesIn = (text: string): string[] => Object.keys(JSON.parse(text) as Record<string, unknown>);
    const theirs = new Set(namesIn((await get(subjects.apache, '/commands/monitor')).body));
    const own = namesIn((await get(subjects.ours, '/commands/monitor')).body);
    expect(own.length).toBeGreaterThan(80);
    expect(own.filter((name) => !theirs.has(name))).toEqual([]);
  });

  test.each(['watches', 'watches_by_path'])(
    '%s has the lists of the original, which has them in no order',
    async (name) => {
      const listsOf = async (subject: Subject): Promise<string[]> => {
        const { body } = await get(subject, `/commands/${name}`);
        return comparable(body, subject)
          .split('\n')
          .map((line) =>
            line.replace(/\[ (.*) \]/, (_, list: string) => list.split(', ').sort().join(' ')).replace(/,$/, ''),
          )
          .sort();
      };
      expect(await listsOf(subjects.ours)).toEqual(await listsOf(subjects.apache));
    },
  );

  test('session ids are exact, though no double holds them', async () => {
    const { body } = await get(subjects.ours, '/commands/connections');
    for (const session of subjects.ours.sessions) expect(body).toContain(`"session_id" : ${session},`);
  });

  test('the list of commands is the same, and what is elsewhere is not found', async () => {
    const [theirs, own] = [await get(subjects.apache, '/commands'), await get(subjects.ours, '/commands')];
    expect(own.body).toBe(theirs.body);
    expect((await get(subjects.ours, '/')).status).toBe((await get(subjects.apache, '/')).status);
  });

  test('nothing but GET is allowed', async () => {
    const statusOfPost = async ({ adminPort }: Subject): Promise<number> =>
      (await fetch(`http://127.0.0.1:${adminPort}/commands/ruok`, { method: 'POST' })).status;
    expect(await statusOfPost(subjects.ours)).toBe(await statusOfPost(subjects.apache));
  });
});
