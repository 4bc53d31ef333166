/**
 * Records the bytes in `protocol/fixtures`: real clients against a real Apache ZooKeeper server, through a proxy that writes
 * down every frame. Needs the Debian packages that the README of the interop folder names; run by `record.test.ts`.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { JavaServer } from './java-server.ts';
import { sendMalformed, sendSurrogates, sendUnusual } from './raw-client.ts';
import { type Recording, type TxnRecording, toJson } from './recording.ts';
import { RecordingProxy } from './recording-proxy.ts';
import { readTxns } from './txn-log.ts';

const SERVER = 'Apache ZooKeeper 3.8.0';
const CLASS_PATH = ['zookeeper', 'zookeeper-jute', 'slf4j-api', 'slf4j-nop']
  .map((name) => `/usr/share/java/${name}.jar`)
  .join(':');
const SOURCES = fileURLToPath(new URL('.', import.meta.url));
const FIXTURES = fileURLToPath(new URL('../../../protocol/fixtures', import.meta.url));

/** Login sections: the server's users, a client that is one of them, and one that is not. */
const JAAS = `
Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_bob="bobsecret"; };
Client { org.apache.zookeeper.server.auth.DigestLoginModule required username="bob" password="bobsecret"; };
Stranger { org.apache.zookeeper.server.auth.DigestLoginModule required username="bob" password="wrong"; };
`;

/** Writes every recording anew, which takes about a minute. Their session ids, zxids, times and ports differ each time. */
export async function recordFixtures(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'recording-'));
  try {
    await writeFile(join(dir, 'jaas.conf'), JAAS);
    await recordVerdicts();
    await recordOperations(dir);
    await recordUnusual(dir);
    await recordReadOnly(dir);
    await recordOldTxns(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** What Java's own code says about paths and strings: no server is needed. */
async function recordVerdicts(): Promise<void> {
  const java = spawn('java', ['-cp', CLASS_PATH, join(SOURCES, 'JavaVerdicts.java')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const chunks: Buffer[] = [];
  java.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  await succeeded(java);
  await writeFile(join(FIXTURES, 'java-verdicts.json'), Buffer.concat(chunks));
}

/** Every operation by every client, and the log that they leave behind. One voter, so that reconfig is possible. */
async function recordOperations(dir: string): Promise<void> {
  const server = await JavaServer.start({
    dir: join(dir, 'operations'),
    voters: 1,
    config: {
      extendedTypesEnabled: 'true',
      reconfigEnabled: 'true',
      'DigestAuthenticationProvider.superDigest': 'super:D/InIHSb7yEEbrWz8b9l71RjZJU=',
      'authProvider.sasl': 'org.apache.zookeeper.server.auth.SASLAuthenticationProvider',
    },
    properties: {
      'java.security.auth.login.config': join(dir, 'jaas.conf'),
      'znode.container.checkIntervalMs': '1000',
    },
  });
  try {
    const scenarios = ['operations', 'acls', 'multi', 'watches', 'setWatches', 'sasl', 'reconfig'];
    await record('java-client', 'Java client of Apache ZooKeeper 3.8.0', server, (proxy) =>
      runJava(dir, proxy, server, scenarios),
    );
    await record('kazoo', 'kazoo 2.8.0', server, (proxy) =>
      runScripted(proxy, '/usr/bin/python3', [
        ...[join(SOURCES, 'kazoo_client.py'), `127.0.0.1:${proxy.port}`, `127.0.0.1:${server.port}`],
      ]),
    );
    await record('c-client', 'C client of Apache ZooKeeper 3.8.0', server, runCClient);
  } finally {
    await server.stop();
  }
  await writeTxns('txn-log', server);
}

/** What clients don't send. */
async function recordUnusual(dir: string): Promise<void> {
  const server = await JavaServer.start({ dir: join(dir, 'unusual') });
  try {
    await record('unusual', 'bytes made by hand', server, (proxy) => sendUnusual(proxy.port));
    await record('surrogates', 'bytes made by hand', server, (proxy) => sendSurrogates(proxy.port));
    await record('malformed', 'bytes made by hand', server, (proxy) => sendMalformed(proxy.port));
  } finally {
    await server.stop();
  }
}

/** A server that has lost its quorum, and a client that accepts it. */
async function recordReadOnly(dir: string): Promise<void> {
  const server = await JavaServer.start({
    dir: join(dir, 'read-only'),
    config: { localSessionsEnabled: 'true' },
    properties: { 'readonlymode.enabled': 'true' },
    voters: 2,
  });
  try {
    await record('read-only', 'Java client of Apache ZooKeeper 3.8.0', server, (proxy) =>
      runJava(dir, proxy, server, ['readOnly']),
    );
  } finally {
    await server.stop();
  }
}

/** Logs as servers before 3.6 wrote them: closeSession without the paths of its ephemerals, and no digests. */
async function recordOldTxns(dir: string): Promise<void> {
  for (const digest of [true, false]) {
    const server = await JavaServer.start({
      dir: join(dir, `old-txns-${digest}`),
      config: { 'closeSessionTxn.enabled': 'false', 'digest.enabled': String(digest) },
    });
    try {
      await sendUnusual(server.port);
    } finally {
      await server.stop();
    }
    await writeTxns(digest ? 'txn-log-without-paths' : 'txn-log-without-paths-and-digests', server);
  }
}

async function record(
  name: string,
  client: string,
  server: JavaServer,
  drive: (proxy: RecordingProxy) => Promise<void>,
): Promise<void> {
  const proxy = await RecordingProxy.listen(server.port);
  try {
    await drive(proxy);
    const recording: Recording = { client, server: SERVER, connections: proxy.take() };
    await writeFile(join(FIXTURES, `${name}.json`), toJson(recording));
    process.stdout.write(`${name}: ${recording.connections.flat().length} frames\n`);
  } finally {
    await proxy.close();
  }
}

async function writeTxns(name: string, server: JavaServer): Promise<void> {
  const recording: TxnRecording = { server: SERVER, txns: await readTxns(server.logDir) };
  await writeFile(join(FIXTURES, `${name}.json`), toJson(recording));
  process.stdout.write(`${name}: ${recording.txns.length} txns\n`);
}

function runJava(dir: string, proxy: RecordingProxy, server: JavaServer, scenarios: string[]): Promise<void> {
  return runScripted(proxy, 'java', [
    `-Djava.security.auth.login.config=${join(dir, 'jaas.conf')}`,
    ...['-cp', CLASS_PATH, join(SOURCES, 'JavaClient.java')],
    ...[`127.0.0.1:${proxy.port}`, `127.0.0.1:${server.port}`, ...scenarios],
  ]);
}

/** Runs a client that can ask for its connections to be cut. */
async function runScripted(proxy: RecordingProxy, command: string, args: string[]): Promise<void> {
  const client = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  createInterface(client.stdout).on('line', (line) => {
    if (line === 'disconnect') proxy.disconnect();
    else if (line === 'reconnect') proxy.reconnect();
  });
  await succeeded(client);
}

/** The shell of the C client: one command at a time, the next when the connection is quiet. */
async function runCClient(proxy: RecordingProxy): Promise<void> {
  const shell = spawn('/usr/lib/zookeeper/bin/cli_mt', ['-h', `127.0.0.1:${proxy.port}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const exited = once(shell, 'exit');
  const type = async (commands: string[]): Promise<void> => {
    for (const command of commands) {
      shell.stdin.write(`${command}\n`);
      await quiet(proxy);
    }
  };
  await quiet(proxy);
  await type([
    'create /c',
    'create2 +e /c/e',
    'create2 +s /c/n-',
    'create2 +c /c/container',
    'create2 +t=60000 /c/ttl',
  ]);
  await type(['set /c changed', 'get /c', 'exists /c', 'exists /missing', 'ls /c', 'ls2 /c', 'sync /c']);
  await type(['addauth digest bob:pw', 'wexists /c/later', 'config', 'delete /c/e']);
  // It leaves watches with every read, and sends them again on its next connection.
  proxy.disconnect();
  await delay(100);
  proxy.reconnect();
  await quiet(proxy);
  await type(['create /c/later', 'quit']);
  await exited;
}

/** Waits until no frame has passed for a while, and at least for that while. */
async function quiet(proxy: RecordingProxy): Promise<void> {
  const QUIET_MS = 400;
  do await delay(QUIET_MS);
  while (Date.now() - proxy.lastFrameAt < QUIET_MS);
}

async function succeeded(child: ChildProcess): Promise<void> {
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${child.spawnfile} exited with ${code}`);
}
